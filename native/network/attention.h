/* Attention of one head over one text, in f32. */
#ifndef RETRIEVAL_ATTENTION_H
#define RETRIEVAL_ATTENTION_H

#include <math.h>

#include "linear.h"

/* Columns of a block of sums, and queries that are read together. */
enum { SPAN = WIDE * LANES, QUERIES = 2 * TALL };

/* What a head works in, for one text of `length` tokens and heads of `dim` dimensions. */
struct head {
    size_t length, dim;
    float *queries; /* [length, dim], rotated, scaled by 1 / sqrt(dim) */
    float *keys;    /* [panels, dim, LANES]: sixteen keys side by side, rotated; zeros at the end */
    float *values;  /* [length, dim] */
    float *shares;  /* [QUERIES, panels * LANES]: scores, then the softmax's numerators */
    size_t panels;
};

static inline size_t panel_count(size_t length)
{
    return (length + LANES - 1) / LANES;
}

/* sums[r][w] = a[r, 0:k] times rows of b, where vector w of row i lies at b + i * row + w * next. */
static ALWAYS_INLINE void products_of(const float *a, size_t stride, size_t k, const float *b,
                                      size_t row, size_t next, const int rows, const int wide,
                                      floats sums[TALL][WIDE])
{
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int w = 0; w < wide; w++)
            sums[r][w] = all(0.0f);
    for (size_t i = 0; i < k; i++) {
        floats right[WIDE];
        UNROLL for (int w = 0; w < wide; w++)
            right[w] = load(b + i * row + (size_t)w * next);
        UNROLL for (int r = 0; r < rows; r++) {
            floats left = all(a[(size_t)r * stride + i]);
            UNROLL for (int w = 0; w < wide; w++)
                sums[r][w] = multiply_add(left, right[w], sums[r][w]);
        }
    }
}

/* The same into out[r, 0:wide * LANES], each row times its factor. */
static ALWAYS_INLINE void block_of(const float *a, size_t stride, size_t k, const float *b,
                                   size_t row, size_t next, const int rows, const int wide,
                                   const float *factors, float *out, size_t out_stride)
{
    floats sums[TALL][WIDE];
    products_of(a, stride, k, b, row, next, rows, wide, sums);
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int w = 0; w < wide; w++) {
            floats sum = sums[r][w];
            if (factors != NULL)
                sum = multiply(sum, all(factors[r]));
            store(out + (size_t)r * out_stride + w * LANES, sum);
        }
}

static void multiply_block(const float *a, size_t stride, size_t k, const float *b, size_t row,
                           size_t next, size_t rows, size_t wide, const float *factors, float *out,
                           size_t out_stride)
{
#define CASE(r, w)                                                                                 \
    case (r)*8 + (w):                                                                              \
        if ((w) <= WIDE)                                                                           \
            block_of(a, stride, k, b, row, next, r, w, factors, out, out_stride);                  \
        break
#define CASES(r) CASE(r, 1); CASE(r, 2); CASE(r, 3); CASE(r, 4)
    switch (rows * 8 + wide) {
        CASES(1); CASES(2); CASES(3); CASES(4); CASES(5); CASES(6);
    }
#undef CASE
#undef CASES
}

/* One row, rotated by its position: halves (x, y) become (x cos - y sin, y cos + x sin). */
static ALWAYS_INLINE void rotate(const float *from, const float *cosines, const float *sines,
                                 size_t dim, float factor, float *to)
{
    const size_t half = dim / 2;
    const floats scale = all(factor);
    for (size_t i = 0; i < half; i += LANES) {
        floats x = multiply(load(from + i), scale);
        floats y = multiply(load(from + half + i), scale);
        floats cosine = load(cosines + i), sine = load(sines + i);
        store(to + i, multiply_add(x, cosine, multiply(subtract(all(0.0f), y), sine)));
        store(to + half + i, multiply_add(y, cosine, multiply(x, sine)));
    }
}

/* Take a head's part of qkv [length, 3 * hidden], of which `from` is its first query. */
static void gather_head(struct head *h, const float *from, size_t hidden, const float *cosines,
                        const float *sines)
{
    const size_t dim = h->dim, half = dim / 2, stride = 3 * hidden;
    const float scale = 1.0f / sqrtf((float)dim);
    float rows[LANES * MAX_HEAD];
    for (size_t panel = 0; panel < h->panels; panel++) {
        const size_t first = panel * LANES;
        const size_t count = h->length - first < LANES ? h->length - first : LANES;
        if (count < LANES)
            memset(rows, 0, sizeof rows);
        for (size_t r = 0; r < count; r++) {
            const size_t at = first + r;
            const float *cosine = cosines + at * half, *sine = sines + at * half;
            rotate(from + at * stride, cosine, sine, dim, scale, h->queries + at * dim);
            rotate(from + at * stride + hidden, cosine, sine, dim, 1.0f, rows + r * dim);
            memcpy(h->values + at * dim, from + at * stride + 2 * hidden, dim * sizeof(float));
        }
        float *keys = h->keys + panel * dim * LANES;
        for (size_t i = 0; i < dim; i++)
            for (size_t r = 0; r < LANES; r++)
                keys[i * LANES + r] = rows[r * dim + i];
    }
}

/* Scores of n keys, n a multiple of 16, of which [low, high) are seen, to the numerators of their
 * softmax; the others become next to nothing. Returns 1 / the denominator. */
static float softmax(float *scores, size_t n, size_t low, size_t high)
{
    for (size_t i = 0; i < low; i++)
        scores[i] = -INFINITY;
    for (size_t i = high; i < n; i++)
        scores[i] = -INFINITY;
    floats peak = all(-INFINITY), sum = all(0.0f);
    for (size_t i = 0; i < n; i += LANES)
        peak = larger(peak, load(scores + i));
    peak = all(largest_of(peak));
    for (size_t i = 0; i < n; i += LANES) {
        floats share = exponential(subtract(load(scores + i), peak));
        store(scores + i, share);
        sum = add(sum, share);
    }
    return 1.0f / sum_of(sum);
}

/* What `count` queries from `first` see, by the window or, if that is 0, all: into out [count, dim],
 * whose rows are `stride` apart. */
static void attend(const struct head *h, size_t first, size_t count, size_t window, float *out,
                   size_t stride)
{
    const size_t dim = h->dim, last = first + count - 1;
    const size_t from = window == 0 || first < window ? 0 : first - window;
    const size_t beyond = window == 0 || last + window >= h->length ? h->length : last + window + 1;
    const size_t panel = from / LANES, start = panel * LANES;
    const size_t n = (beyond - start + LANES - 1) / LANES * LANES;
    float factors[QUERIES];
    for (size_t key = 0; key < n; key += SPAN) {
        const float *keys = h->keys + (start + key) * dim;
        const size_t wide = n - key < SPAN ? (n - key) / LANES : WIDE;
        for (size_t r = 0; r < count; r += TALL)
            multiply_block(h->queries + (first + r) * dim, dim, dim, keys, LANES, dim * LANES,
                           count - r < TALL ? count - r : TALL, wide, NULL,
                           h->shares + r * n + key, n);
    }
    for (size_t r = 0; r < count; r++) {
        const size_t at = first + r;
        const size_t low = window == 0 || at < window ? 0 : at - window;
        const size_t high = window == 0 || at + window >= h->length ? h->length : at + window + 1;
        factors[r] = softmax(h->shares + r * n, n, low > start ? low - start : 0, high - start);
    }
    for (size_t r = 0; r < count; r += TALL)
        for (size_t i = 0; i < dim; i += SPAN)
            multiply_block(h->shares + r * n + (from - start), n, beyond - from,
                           h->values + from * dim + i, dim, LANES,
                           count - r < TALL ? count - r : TALL,
                           dim - i < SPAN ? (dim - i) / LANES : WIDE, factors + r,
                           out + r * stride + i, stride);
}

#endif
