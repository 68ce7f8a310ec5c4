/* Linear layers over rows of codes, some rows by a group of output channels at a time. The including
 * file defines:
 *
 *   ROWS, GROUP          most rows and output channels of one step
 *   DEPTH                values of a row that lie together in a tile
 *   STEP                 values of a row that are read together; tiles are filled up to it with zeros
 *   code_t, ZERO         the type of a code, and what is added to it
 *   put_codes()          sixteen floats to the nearest codes; their magnitudes are at most 127
 *   products_of_codes(), multiply_group()
 *                        see below; registers.h has the latter for sums in registers
 */
#ifndef RETRIEVAL_LINEAR_H
#define RETRIEVAL_LINEAR_H

#include <string.h>

#include "network.h"

/* Vectors of one row of a step, and rows between whose layers the activations stay in the cache: whole
 * steps, as a step may read all of its rows, whatever their number. */
enum { PARTS = GROUP / LANES, BLOCK = 96 };
_Static_assert(BLOCK % ROWS == 0 && GROUP % LANES == 0, "a block is whole steps");

/* Rows that a linear layer reads: (value - ZERO) * scale. */
struct codes {
    code_t *values; /* [rows, width] */
    float *scales;  /* [rows] */
    size_t width;
};

/* The length of a matrix's rows in its tiles. */
static inline size_t padded(size_t in)
{
    return (in + STEP - 1) / STEP * STEP;
}

/* sums[r][p] = starts + the codes of some rows times one group of a matrix's rows. */
static ALWAYS_INLINE void products_of_codes(const int8_t *tile, const int32_t *starts,
                                            const code_t *codes, size_t in, const int rows,
                                            ints sums[ROWS][PARTS]);

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
    ints sums[ROWS][PARTS];
    products_of_codes(m->tiles + group * GROUP * padded(m->in), m->starts + group * GROUP,
                      x->values + at * m->in, m->in, rows, sums);
    UNROLL for (int p = 0; p < PARTS; p++) {
        floats scale = load(m->scales + group * GROUP + p * LANES);
        UNROLL for (int r = 0; r < rows; r++) {
            floats made = multiply(floats_of(sums[r][p]),
                                   multiply(scale, all(x->scales[at + (size_t)r])));
            float *to = out + (size_t)r * stride + p * LANES;
            store(to, more ? add(load(to), made) : made);
        }
    }
}

/* The same as a function, for any number of rows up to ROWS. */
static void multiply_group(const struct matrix *m, size_t group, const struct codes *x, size_t at,
                           size_t rows, float *out, size_t stride, int more);

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
                UNROLL for (int p = 0; p < PARTS; p++) {
                    floats gate = gelu(load(gates[r] + p * LANES));
                    floats made = multiply(gate, load(values[r] + p * LANES));
                    store(out + (at + r) * inner + first + (size_t)p * LANES, made);
                }
        }
}

#endif
