/* The network over one text. */
#include <stdlib.h>

#include "attention.h"

/* Everything that a run writes besides its outputs. */
struct scratch {
    void *memory;
    float *residual; /* [length, hidden] */
    float *qkv;      /* [length, 3 * hidden] */
    float *mixed;    /* [length, hidden]: what attention gave; at the end, the normed rows */
    float *rows;     /* [BLOCK, widest] */
    struct codes codes;
    struct head head;
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static int prepare(const struct network *n, size_t length, struct scratch *s)
{
    const size_t widest =
        larger(larger(n->inner, n->hidden), larger(larger(n->up.in, n->up.out), GROUP));
    const size_t dim = n->hidden / n->heads, panels = panel_count(length);
    const size_t sizes[] = {
        length * n->hidden,    length * 3 * n->hidden,          length * n->hidden,
        BLOCK * widest,        BLOCK,                           BLOCK * widest / sizeof(float),
        length * dim,          panels * LANES * dim,            length * dim,
        QUERIES * (panels + 1) * LANES,
    };
    enum { PARTS = sizeof sizes / sizeof *sizes };
    size_t total = 0;
    for (size_t i = 0; i < PARTS; i++)
        total += (sizes[i] + LANES - 1) / LANES * LANES;
    float *at = s->memory = aligned_alloc(64, total * sizeof(float));
    if (at == NULL)
        return NETWORK_MEMORY;
    float *parts[PARTS];
    for (size_t i = 0; i < PARTS; i++) {
        parts[i] = at;
        at += (sizes[i] + LANES - 1) / LANES * LANES;
    }
    s->residual = parts[0], s->qkv = parts[1], s->mixed = parts[2], s->rows = parts[3];
    s->codes = (struct codes){.values = (uint8_t *)parts[5], .scales = parts[4]};
    s->head = (struct head){.length = length, .dim = dim, .queries = parts[6], .keys = parts[7],
                            .values = parts[8], .shares = parts[9], .panels = panels};
    return NETWORK_OK;
}

/* Layer normalisation without bias. */
static void norm(const struct network *n, const float *weights, const float *from, float *to)
{
    const size_t width = n->hidden;
    floats sum = _mm512_setzero_ps(), squares = sum;
    for (size_t i = 0; i < width; i += LANES)
        sum = _mm512_add_ps(sum, load(from + i));
    const floats mean = all(sum_of(sum) / (float)width);
    for (size_t i = 0; i < width; i += LANES) {
        floats apart = _mm512_sub_ps(load(from + i), mean);
        squares = multiply_add(apart, apart, squares);
    }
    const floats scale = all(1.0f / sqrtf(sum_of(squares) / (float)width + n->epsilon));
    for (size_t i = 0; i < width; i += LANES) {
        floats apart = _mm512_sub_ps(load(from + i), mean);
        store(to + i, _mm512_mul_ps(_mm512_mul_ps(apart, scale), load(weights + i)));
    }
}

static int embed(const struct network *n, const struct text *t, float *out)
{
    for (size_t i = 0; i < t->length; i++) {
        if (t->ids[i] < 0 || (uint64_t)t->ids[i] >= n->vocabulary)
            return NETWORK_RANGE;
        const size_t id = (size_t)t->ids[i];
        const int8_t *row = n->embeddings + id * n->hidden;
        float *to = out + i * n->hidden;
        for (size_t c = 0; c < n->hidden; c++)
            to[c] = (float)row[c] * n->embedding_scales[id];
        norm(n, n->embedding_norm, to, to);
    }
    return NETWORK_OK;
}

static size_t block_rows(size_t at, size_t length)
{
    return length - at < BLOCK ? length - at : BLOCK;
}

static void attention(const struct network *n, const struct layer *layer, const struct text *t,
                      struct scratch *s)
{
    const size_t hidden = n->hidden, window = layer->local ? n->window : 0;
    s->codes.width = hidden;
    for (size_t at = 0; at < t->length; at += BLOCK) {
        const size_t rows = block_rows(at, t->length);
        for (size_t r = 0; r < rows; r++) {
            const float *row = s->residual + (at + r) * hidden;
            if (layer->attn_norm != NULL) {
                norm(n, layer->attn_norm, row, s->rows);
                row = s->rows;
            }
            read_row(&s->codes, r, row);
        }
        linear(&layer->qkv, &s->codes, rows, s->qkv + at * 3 * hidden, 3 * hidden, 0);
    }
    for (size_t i = 0; i < n->heads; i++) {
        const size_t part = i * s->head.dim;
        gather_head(&s->head, s->qkv + part, hidden, t->cosines[layer->local],
                    t->sines[layer->local]);
        for (size_t at = 0; at < t->length; at += QUERIES)
            attend(&s->head, at, t->length - at < QUERIES ? t->length - at : QUERIES, window,
                   s->mixed + at * hidden + part, hidden);
    }
}

/* The rest of a layer, block by block: nothing else looks beyond a token. */
static void mix(const struct network *n, const struct layer *layer, size_t length,
                struct scratch *s)
{
    const size_t hidden = n->hidden, inner = n->inner;
    for (size_t at = 0; at < length; at += BLOCK) {
        const size_t rows = block_rows(at, length);
        float *residual = s->residual + at * hidden;
        s->codes.width = hidden;
        for (size_t r = 0; r < rows; r++)
            read_row(&s->codes, r, s->mixed + (at + r) * hidden);
        linear(&layer->attn_out, &s->codes, rows, residual, hidden, 1);
        for (size_t r = 0; r < rows; r++) {
            norm(n, layer->mlp_norm, residual + r * hidden, s->rows);
            read_row(&s->codes, r, s->rows);
        }
        gated(&layer->gate_value, &s->codes, rows, s->rows);
        s->codes.width = inner;
        for (size_t r = 0; r < rows; r++)
            read_row(&s->codes, r, s->rows + r * inner);
        linear(&layer->mlp_out, &s->codes, rows, residual, hidden, 1);
    }
}

static void unit(float *vector, size_t n)
{
    float squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += vector[i] * vector[i];
    const float length = sqrtf(squares);
    for (size_t i = 0; length > 0 && i < n; i++)
        vector[i] /= length;
}

/* The dense vector of the rows [from, to): their sum through the head, to unit length. */
static void pool(const struct network *n, const float *rows, size_t from, size_t to, float *sum,
                 float *out)
{
    memset(sum, 0, n->hidden * sizeof(float));
    for (size_t at = from; at < to; at++)
        for (size_t i = 0; i < n->hidden; i++)
            sum[i] += rows[at * n->hidden + i];
    for (size_t i = 0; i < n->dense_dim; i++)
        out[i] = dot(n->dense + i * n->hidden, sum, n->hidden);
    unit(out, n->dense_dim);
}

static void dense_head(const struct network *n, const struct text *t, struct scratch *s)
{
    pool(n, s->mixed, 0, t->length, s->rows, t->dense);
    if (n->dense_window == 0)
        return;
    const size_t count = window_count(t->length, n->dense_window);
    const size_t each = window_count(t->length, count);
    for (size_t i = 0; i < count; i++) {
        const size_t end = (i + 1) * each;
        pool(n, s->mixed, i * each, end < t->length ? end : t->length, s->rows,
             t->windows + i * n->dense_dim);
    }
}

/* What the token head reads of every token's embedding: [length, n->near.out], in s->qkv. The
 * residual, which nothing reads any more, takes the embeddings. */
static void read_embeddings(const struct network *n, const struct text *t, struct scratch *s)
{
    embed(n, t, s->residual); /* the ids were in range before */
    s->codes.width = n->hidden;
    for (size_t at = 0; at < t->length; at += BLOCK) {
        const size_t rows = block_rows(at, t->length);
        for (size_t r = 0; r < rows; r++)
            read_row(&s->codes, r, s->residual + (at + r) * n->hidden);
        linear(&n->near, &s->codes, rows, s->qkv + at * n->near.out, n->near.out, 0);
    }
}

/* A token's hidden vector, and beside it what was read of its neighbours; 0 beyond the text. */
static void put_beside(const struct network *n, const struct text *t, const struct scratch *s,
                       size_t at, float *row)
{
    const size_t near = n->near.out;
    memcpy(row, s->mixed + at * n->hidden, n->hidden * sizeof(float));
    row += n->hidden;
    for (size_t step = 0; step <= 2 * n->reach; step++, row += near) {
        const size_t from = at + step; /* and `reach` back */
        if (from < n->reach || from - n->reach >= t->length)
            memset(row, 0, near * sizeof(float));
        else
            memcpy(row, s->qkv + (from - n->reach) * near, near * sizeof(float));
    }
}

static void token_head(const struct network *n, const struct text *t, struct scratch *s)
{
    const size_t inner = n->up.out, dim = n->token_dim;
    if (n->near.out > 0)
        read_embeddings(n, t, s);
    for (size_t at = 0; at < t->length; at += BLOCK) {
        const size_t rows = block_rows(at, t->length);
        float *out = t->tokens + at * dim;
        s->codes.width = n->up.in;
        for (size_t r = 0; r < rows; r++) {
            const float *row = s->mixed + (at + r) * n->hidden;
            if (n->near.out > 0) {
                put_beside(n, t, s, at + r, s->rows);
                row = s->rows;
            }
            read_row(&s->codes, r, row);
        }
        linear(&n->skip, &s->codes, rows, out, dim, 0);
        linear(&n->up, &s->codes, rows, s->rows, inner, 0);
        for (size_t i = 0; i < rows * inner; i += LANES)
            store(s->rows + i, gelu(load(s->rows + i)));
        s->codes.width = inner;
        for (size_t r = 0; r < rows; r++)
            read_row(&s->codes, r, s->rows + r * inner);
        linear(&n->down, &s->codes, rows, out, dim, 1);
        for (size_t r = 0; r < rows; r++)
            unit(out + r * dim, dim);
    }
}

int network_forward(const struct network *n, const struct text *t)
{
    struct scratch s;
    int status = prepare(n, t->length, &s);
    if (status == NETWORK_OK)
        status = embed(n, t, s.residual);
    if (status == NETWORK_OK) {
        for (size_t i = 0; i < n->layer_count; i++) {
            attention(n, &n->layers[i], t, &s);
            mix(n, &n->layers[i], t->length, &s);
        }
        for (size_t at = 0; at < t->length; at++)
            norm(n, n->final_norm, s.residual + at * n->hidden, s.mixed + at * n->hidden);
        if (t->hidden != NULL)
            memcpy(t->hidden, s.mixed, t->length * n->hidden * sizeof(float));
        if (n->dense_dim > 0 && t->dense != NULL)
            dense_head(n, t, &s);
        if (n->token_dim > 0)
            token_head(n, t, &s);
    }
    free(s.memory);
    return status;
}

int matrix_pack(struct matrix *m, const int8_t *rows, const float *scales, size_t out, size_t in)
{
    const size_t padded = (out + GROUP - 1) / GROUP * GROUP;
    m->out = out, m->in = in;
    m->tiles = aligned_alloc(64, padded * in);
    m->starts = aligned_alloc(64, padded * sizeof(int32_t));
    m->scales = aligned_alloc(64, padded * sizeof(float));
    if (m->tiles == NULL || m->starts == NULL || m->scales == NULL)
        return 0;
    memset(m->tiles, 0, padded * in);
    for (size_t i = 0; i < padded; i++) {
        int8_t *group = m->tiles + i / GROUP * GROUP * in + i % GROUP * 4;
        int32_t sum = 0;
        for (size_t k = 0; i < out && k < in; k += 4) {
            memcpy(group + k * GROUP, rows + i * in + k, 4);
            for (size_t j = 0; j < 4; j++)
                sum += rows[i * in + k + j];
        }
        m->starts[i] = -128 * sum;
        m->scales[i] = i < out ? scales[i] : 0;
    }
    return 1;
}
