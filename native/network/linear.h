/* Linear layers over rows of codes, six rows by a group of output channels at a time. The including
 * file defines:
 *
 *   WIDE                 of sixteen output channels, how many a step makes
 *   DEPTH                values of a row that lie together in a tile
 *   code_t, ZERO         the type of a code, and what is added to it
 *   put_codes()          sixteen floats to the nearest codes; their magnitudes are at most 127
 *   products_of_codes()  see below
 */
#ifndef RETRIEVAL_LINEAR_H
#define RETRIEVAL_LINEAR_H

#include <string.h>

#include "network.h"

/* Output channels of one step, rows of one step, and rows between whose layers the activations stay in
 * the cache. */
enum { GROUP = WIDE * LANES, ROWS = 6, BLOCK = 16 * ROWS };

/* Rows that a linear layer reads: (value - ZERO) * scale. */
struct codes {
    code_t *values; /* [rows, width] */
    float *scales;  /* [rows] */
    size_t width;
};

/* sums[r][w] = starts + the codes of some rows times one group of a matrix's rows; `rows` is a
 * constant. */
static ALWAYS_INLINE void products_of_codes(const int8_t *tile, const int32_t *starts,
                                            const code_t *codes, size_t in, const int rows,
                                            ints sums[ROWS][WIDE]);

/* Round row `at` to codes with a scale of its own. */
static inline void read_row(const struct codes *to, size_t at, const float *row)
{
    const size_t n = to->width;
    floats peak = all(0.0f);
    for (size_t i = 0; i < n; i += LANES)
        peak = larger(peak, magnitude(load(row + i)));
    float step = largest_of(peak) * (1.0f / 127);
    step = step > 1e-12f ? step : 1e-12f;
    const floats inverse = all(1.0f / step);
    for (size_t i = 0; i < n; i += LANES)
        put_codes(to->values + at * n + i, multiply(load(row + i), inverse));
    to->scales[at] = step;
}

/* out[r, 0:GROUP] = (or += where `more` is set) the rows from `at` times one group of a matrix's rows,
 * with both scales. */
static ALWAYS_INLINE void group_of(const struct matrix *m, size_t group, const struct codes *x,
                                   size_t at, const int rows, float *out, size_t stride, int more)
{
    ints sums[ROWS][WIDE];
    products_of_codes(m->tiles + group * GROUP * m->in, m->starts + group * GROUP,
                      x->values + at * m->in, m->in, rows, sums);
    UNROLL for (int w = 0; w < WIDE; w++) {
        floats scale = load(m->scales + group * GROUP + w * LANES);
        UNROLL for (int r = 0; r < rows; r++) {
            floats made = multiply(floats_of(sums[r][w]),
                                   multiply(scale, all(x->scales[at + (size_t)r])));
            float *to = out + (size_t)r * stride + w * LANES;
            store(to, more ? add(load(to), made) : made);
        }
    }
}

/* The same for any number of rows up to ROWS. */
static void multiply_group(const struct matrix *m, size_t group, const struct codes *x, size_t at,
                           size_t rows, float *out, size_t stride, int more)
{
    switch (rows) {
    case 1: group_of(m, group, x, at, 1, out, stride, more); break;
    case 2: group_of(m, group, x, at, 2, out, stride, more); break;
    case 3: group_of(m, group, x, at, 3, out, stride, more); break;
    case 4: group_of(m, group, x, at, 4, out, stride, more); break;
    case 5: group_of(m, group, x, at, 5, out, stride, more); break;
    default: group_of(m, group, x, at, ROWS, out, stride, more);
    }
}

/* The same for a matrix's last group where there are fewer rows in it than GROUP. */
static void multiply_rest(const struct matrix *m, size_t group, const struct codes *x, size_t at,
                          size_t rows, float *out, size_t stride, int more)
{
    float made[ROWS][GROUP];
    multiply_group(m, group, x, at, rows, made[0], GROUP, 0);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < m->out - group * GROUP; c++)
            out[r * stride + c] = more ? out[r * stride + c] + made[r][c] : made[r][c];
}

/* out[r, 0:m->out] = the rows of x times the matrix, or += where `more` is set. */
static void linear(const struct matrix *m, const struct codes *x, size_t rows, float *out,
                   size_t stride, int more)
{
    for (size_t first = 0; first < m->out; first += GROUP) {
        const int whole = m->out - first >= GROUP;
        for (size_t at = 0; at < rows; at += ROWS)
            (whole ? multiply_group : multiply_rest)(m, first / GROUP, x, at,
                                                     rows - at < ROWS ? rows - at : ROWS,
                                                     out + at * stride + first, stride, more);
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
                    floats made = multiply(gate, load(values[r] + w * LANES));
                    store(out + (at + r) * inner + first + (size_t)w * LANES, made);
                }
        }
}

#endif
