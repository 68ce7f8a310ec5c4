/* ModernBERT in int8 on one core: a text's token ids in, its vectors out.
 *
 * It computes what the graph of retrieval/encoders/export/onnx_graph.py computes: linear layers multiply
 * 8-bit activations (a scale a token) by int8 weights (a scale an output channel), all else is f32. */
#ifndef RETRIEVAL_NETWORK_H
#define RETRIEVAL_NETWORK_H

#include <stddef.h>
#include <stdint.h>

/* Longest side of a matrix: products of that many bytes cannot overflow 32 bits. */
enum { MAX_SIDE = 1 << 15 };

/* Most dimensions of an attention head. */
enum { MAX_HEAD = 128 };

enum { NETWORK_OK = 0, NETWORK_RANGE = -1, NETWORK_MEMORY = -2 };

/* An int8 matrix [out, in] as an instruction set lays it out: its rows in groups, the last one filled
 * up with zeros. */
struct matrix {
    int8_t *tiles;
    int32_t *starts; /* -ZERO times each row's sum: activations are stored with ZERO added */
    float *scales;
    size_t out, in;
};

struct layer {
    int local;         /* attention within the window, or to the whole text */
    float *attn_norm;  /* [hidden]; NULL where the input is normed already */
    float *mlp_norm;   /* [hidden] */
    struct matrix qkv; /* [3 * hidden, hidden] */
    struct matrix attn_out;
    struct matrix gate_value; /* [2 * inner, hidden] */
    struct matrix mlp_out;
};

struct network {
    size_t vocabulary, hidden, heads, inner, window, layer_count;
    float epsilon;
    const int8_t *embeddings; /* [vocabulary, hidden], not owned */
    const float *embedding_scales;
    float *embedding_norm, *final_norm;
    struct layer *layers;
    size_t dense_dim, dense_window; /* 0: no such head, no windows */
    float *dense;                   /* [dense_dim, hidden] */
    size_t token_dim;               /* 0: no such head */
    struct matrix skip, up, down;
    /* [n, hidden]: what the token head reads of each embedding up to `reach` tokens to each side,
     * beside the token's own hidden vector; n is 0 where it reads none */
    struct matrix near;
    size_t reach;
};

/* A text, and where its vectors go. */
struct text {
    const int64_t *ids;
    size_t length; /* at least 1 */
    /* cosines and sines of the angles, [>= length, head_dim / 2], of global and of local layers */
    const float *cosines[2], *sines[2];
    float *dense;   /* [dense_dim]; NULL if neither this nor windows are wanted */
    float *windows; /* [window_count(length, dense_window), dense_dim] */
    float *tokens;  /* [length, token_dim] */
    float *hidden;  /* [length, hidden], after the final norm; NULL if they are not wanted */
};

static inline size_t window_count(size_t length, size_t window)
{
    return (length + window - 1) / window;
}

/* What runs a network with the instructions of some processors; the results are the same to the bit. */
struct instruction_set {
    const char *name;
    /* How a row-major int8 matrix is laid out; 0 if there is no memory for it. */
    int (*pack)(struct matrix *, const int8_t *rows, const float *scales, size_t out, size_t in);
    int (*forward)(const struct network *, const struct text *);
};

/* Those that this build has and this processor can run, best first; ends in NULL. */
const struct instruction_set *const *instruction_sets(void);

#endif
