/* Linear layers over rows of u8 codes, six rows by 64 output channels at a time. */
#ifndef RETRIEVAL_LINEAR_H
#define RETRIEVAL_LINEAR_H

#include <string.h>

#include "vectors.h"

/* Rows of one step, and rows between whose layers the activations stay in the cache. */
enum { ROWS = 6, BLOCK = 16 * ROWS };

/* Rows that a linear layer reads: (value - 128) * scale. */
struct codes {
    uint8_t *values; /* [rows, width] */
    float *scales;   /* [rows] */
    size_t width;
};

/* Round row `at` to codes with a scale of its own. */
static inline void read_row(const struct codes *to, size_t at, const float *row)
{
    const size_t n = to->width;
    floats peak = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += LANES)
        peak = _mm512_max_ps(peak, _mm512_abs_ps(load(row + i)));
    float step = _mm512_reduce_max_ps(peak) * (1.0f / 127);
    step = step > 1e-12f ? step : 1e-12f;
    const floats inverse = all(1.0f / step);
    const __m512i zero = _mm512_set1_epi32(128);
    uint8_t *values = to->values + at * n;
    for (size_t i = 0; i < n; i += LANES) {
        __m512i code = _mm512_cvtps_epi32(_mm512_mul_ps(load(row + i), inverse));
        code = _mm512_max_epi32(_mm512_add_epi32(code, zero), _mm512_setzero_si512());
        _mm_storeu_si128((void *)(values + i), _mm512_cvtusepi32_epi8(code));
    }
    to->scales[at] = step;
}

/* out[r, 0:GROUP] = (or += where `add` is set) the rows from `at` times one group of a matrix's rows,
 * with both scales. */
static ALWAYS_INLINE void group_of(const struct matrix *m, size_t group, const struct codes *x,
                                   size_t at, const int rows, float *out, size_t stride, int add)
{
    const int8_t *tile = m->tiles + group * GROUP * m->in;
    const uint8_t *codes = x->values + at * m->in;
    __m512i sums[ROWS][WIDE];
    UNROLL for (int w = 0; w < WIDE; w++) {
        __m512i start = _mm512_load_si512(m->starts + group * GROUP + w * LANES);
        UNROLL for (int r = 0; r < rows; r++)
            sums[r][w] = start;
    }
    for (size_t k = 0; k < m->in; k += 4, tile += 4 * GROUP) {
        __m512i weights[WIDE];
        UNROLL for (int w = 0; w < WIDE; w++)
            weights[w] = _mm512_load_si512(tile + w * 4 * LANES);
        UNROLL for (int r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, codes + (size_t)r * m->in + k, sizeof four);
            __m512i token = _mm512_set1_epi32(four);
            UNROLL for (int w = 0; w < WIDE; w++)
                sums[r][w] = multiply_add_bytes(sums[r][w], token, weights[w]);
        }
    }
    UNROLL for (int w = 0; w < WIDE; w++) {
        floats scale = load(m->scales + group * GROUP + w * LANES);
        UNROLL for (int r = 0; r < rows; r++) {
            floats factor = _mm512_mul_ps(scale, all(x->scales[at + (size_t)r]));
            floats made = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][w]), factor);
            float *to = out + (size_t)r * stride + w * LANES;
            store(to, add ? _mm512_add_ps(load(to), made) : made);
        }
    }
}

/* The same for any number of rows up to ROWS. */
static void multiply_group(const struct matrix *m, size_t group, const struct codes *x, size_t at,
                           size_t rows, float *out, size_t stride, int add)
{
    switch (rows) {
    case 1: group_of(m, group, x, at, 1, out, stride, add); break;
    case 2: group_of(m, group, x, at, 2, out, stride, add); break;
    case 3: group_of(m, group, x, at, 3, out, stride, add); break;
    case 4: group_of(m, group, x, at, 4, out, stride, add); break;
    case 5: group_of(m, group, x, at, 5, out, stride, add); break;
    default: group_of(m, group, x, at, ROWS, out, stride, add);
    }
}

/* The same for a matrix's last group where there are fewer rows in it than GROUP. */
static void multiply_rest(const struct matrix *m, size_t group, const struct codes *x, size_t at,
                          size_t rows, float *out, size_t stride, int add)
{
    float made[ROWS][GROUP];
    multiply_group(m, group, x, at, rows, made[0], GROUP, 0);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < m->out - group * GROUP; c++)
            out[r * stride + c] = add ? out[r * stride + c] + made[r][c] : made[r][c];
}

/* out[r, 0:m->out] = the rows of x times the matrix, or += where `add` is set. */
static void linear(const struct matrix *m, const struct codes *x, size_t rows, float *out,
                   size_t stride, int add)
{
    for (size_t first = 0; first < m->out; first += GROUP) {
        const int whole = m->out - first >= GROUP;
        for (size_t at = 0; at < rows; at += ROWS)
            (whole ? multiply_group : multiply_rest)(m, first / GROUP, x, at,
                                                     rows - at < ROWS ? rows - at : ROWS,
                                                     out + at * stride + first, stride, add);
    }
}

/* GeGLU: out[r, 0:inner] = gelu(the first half of m's rows) * (the second half), in f32. */
static void gated(const struct matrix *m, const struct codes *x, size_t rows, float *out)
{
    const size_t inner = m->out / 2;
    float gates[ROWS][GROUP], values[ROWS][GROUP];
    for (size_t first = 0; first < inner; first += GROUP)
        for (size_t at = 0; at < rows; at += ROWS) {
            const size_t count = rows - at < ROWS ? rows - at : ROWS;
            multiply_group(m, first / GROUP, x, at, count, gates[0], GROUP, 0);
            multiply_group(m, (inner + first) / GROUP, x, at, count, values[0], GROUP, 0);
            for (size_t r = 0; r < count; r++)
                UNROLL for (int w = 0; w < WIDE; w++) {
                    floats gate = gelu(load(gates[r] + w * LANES));
                    floats made = _mm512_mul_ps(gate, load(values[r] + w * LANES));
                    store(out + (at + r) * inner + first + (size_t)w * LANES, made);
                }
        }
}

#endif
