/* The kernels of late interaction. What each computes is written in
 * retrieval/indexes/kernels/reference.py; the results are the same to the bit.
 *
 * One struct of functions for each instruction set. The bindings have checked shapes; a kernel
 * checks the values that it uses as positions (rows, offsets, list bounds, probed centroids, the
 * codes of tokens). */
#ifndef RETRIEVAL_KERNELS_H
#define RETRIEVAL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Products of 1,024 dimensions are below 2 ** 24: exact in f32, as scores are. */
enum { LANES = 16, LIST_BLOCK = 1 << 16, MAX_DIMENSION = 1024, WARD_MOST = 4096 };

/* What a kernel returns. */
enum { KERNEL_OK = 0, KERNEL_RANGE = -1, KERNEL_MEMORY = -2 };

/* Passages over an array of tokens, and which of them to take. */
struct ragged {
    const int64_t *offsets; /* [passages + 1] */
    size_t passages, tokens;
    const int64_t *rows; /* the kernel takes rows[first] to rows[last - 1] */
    size_t first, last;
};

/* The tokens of some queries; query b owns those from bounds[b] to bounds[b + 1]. */
struct queries {
    const int8_t *vectors; /* [tokens, d] */
    const float *factors;  /* [tokens] */
    size_t tokens, d;
    const int64_t *bounds; /* [count + 1], rising, at most `tokens` */
    size_t count;
};

/* Differences of two int8, from -255 to 255. */
#define DIFFERENCES 511

/* Tokens as a centroid and a packed residual. */
struct compressed {
    const uint16_t *codes;    /* [tokens] */
    const uint8_t *residuals; /* [tokens, d * bits / 8] */
    const int8_t *centroids;  /* [K, d] */
    const uint8_t *classes;   /* [K], each below the number of rows of levels */
    const int8_t *levels;     /* [classes, 2 ** bits] */
    size_t centroid_count, d;
    unsigned bits;
};

/* Inverted lists of one block of passages, and what the query probes. */
struct lists {
    const uint16_t *postings;
    size_t postings_count;
    const int64_t *starts; /* [centroids + 1], of this block */
    size_t centroids;
    const int32_t *probes; /* [tokens, probed] */
    const uint8_t *values; /* [tokens, probed] */
    const uint8_t *imputed; /* [tokens] */
    size_t tokens, probed;
};

/* Vectors group by group, and for each group the centroids that its vectors are compared with. */
struct grouped {
    const int8_t *vectors;    /* [count, d] */
    const int64_t *bounds;    /* [groups + 1], rising, at most `count`: where each group lies */
    const uint16_t *near;     /* [groups, listed] */
    const int8_t *centroids;  /* [K, d] */
    const int32_t *penalties; /* [K] */
    size_t listed, centroid_count, d;
};

struct kernels {
    const char *name;
    int (*max_sim)(const int8_t *codes, const float *scales, const struct ragged *,
                   const struct queries *, float *out, size_t out_stride);
    int (*max_sim_compressed)(const struct compressed *, const struct ragged *,
                              const struct queries *, float *out);
    int (*decode)(const struct compressed *, int8_t *out, size_t first, size_t last);
    int (*encode)(const int8_t *vectors, const uint16_t *codes, const int8_t *centroids,
                  size_t centroid_count, const uint8_t *classes, const uint8_t *tables,
                  unsigned bits, size_t d, uint8_t *out, size_t first, size_t last);
    int (*nearest)(const int8_t *vectors, const int8_t *centroids, const int32_t *penalties,
                   size_t centroid_count, size_t d, uint16_t *out, size_t first, size_t last);
    int (*nearest_listed)(const struct grouped *, uint16_t *out, size_t first, size_t last);
    int (*centroid_table)(const int8_t *centroids, const int8_t *query, size_t query_count,
                          size_t d, const float *slopes, const float *shifts, uint8_t *out,
                          size_t first, size_t last);
    int (*centroid_max)(const uint8_t *table, size_t centroid_count, size_t lanes,
                        const uint16_t *codes, const struct ragged *, int32_t *out);
    int (*probe)(const uint8_t *table, size_t centroid_count, size_t lanes, int32_t *out,
                 size_t count, size_t first, size_t last);
    int (*list_sums)(const struct lists *, uint16_t *out, size_t passages);
    int (*top_i32)(const int32_t *scores, size_t n, int64_t *out, size_t k);
    int (*top_u16)(const uint16_t *scores, size_t n, int64_t *out, size_t k);
    int (*units)(const int8_t *codes, const float *scales, const float *mean,
                 const float *rotation, float inverse, size_t d, int8_t *out, size_t first,
                 size_t last);
    int (*ward)(const int8_t *vectors, size_t count, size_t d, const int64_t *bounds,
                const int64_t *groups, const float *limits, int32_t *out, size_t first,
                size_t last);
};

/* The instruction sets that this build has and this processor can run, best first; ends in NULL. */
const struct kernels *const *kernels_available(void);

#endif
