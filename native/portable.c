/* Portable C: what any compiler makes of plain loops. */
#include <math.h>

#include "bytes16.h"
#include "memory.h"

#define UNROLL _Pragma("GCC unroll 4")

/* Floats hold every sum of products of bytes exactly, and any processor multiplies them well. */
typedef float tile_t, token_t;
typedef float floats __attribute__((vector_size(16)));
enum { GROUPED = 1, BIAS = 0, ROWS = 2, PARTS = LANES / 4 };

static void widen(const int8_t *from, token_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = from[i];
}

/* The products of one tile and one or two tokens; `rows` is constant. */
static ALWAYS_INLINE void tile_products(const char *tile, const token_t *tokens, const int rows,
                                        size_t d, int32_t *out, size_t stride)
{
    const char *body = tile + LANES * sizeof(int32_t);
    floats sums[ROWS][PARTS];
    UNROLL for (int p = 0; p < PARTS; p++)
        UNROLL for (int t = 0; t < rows; t++)
            sums[t][p] = (floats){0};
    for (size_t j = 0; j < d; j++)
        UNROLL for (int p = 0; p < PARTS; p++) {
            floats values;
            memcpy(&values, body + (j * PARTS + (size_t)p) * sizeof values, sizeof values);
            UNROLL for (int t = 0; t < rows; t++)
                sums[t][p] += values * tokens[(size_t)t * d + j];
        }
    for (int t = 0; t < rows; t++) {
        int32_t head[LANES];
        float values[LANES];
        memcpy(head, tile, sizeof head);
        memcpy(values, sums[t], sizeof values);
        for (int l = 0; l < LANES; l++)
            out[(size_t)t * stride + (size_t)l] = head[l] + (int32_t)values[l];
    }
}

static void products(const char *tile, size_t tiles, const token_t *tokens, size_t rows, size_t d,
                     int32_t *out)
{
    size_t bytes = LANES * (sizeof(int32_t) + d * sizeof(tile_t));
    for (size_t s = 0; s < tiles; s++)
        if (rows > 1)
            tile_products(tile + s * bytes, tokens, ROWS, d, out + s * LANES, tiles * LANES);
        else
            tile_products(tile + s * bytes, tokens, 1, d, out + s * LANES, tiles * LANES);
}

static void decode_token(const uint8_t *residual, const int8_t *centroid, const int8_t *levels,
                         size_t width, unsigned bits, int8_t *out)
{
    for (size_t i = 0; i * bits < 8; i++)
        for (size_t j = 0; j < width; j++) {
            int level = levels[residual[j] >> i * bits & ((1 << bits) - 1)];
            int value = centroid[i * width + j] + level;
            out[i * width + j] = (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
        }
}

static int32_t max_rows(const uint8_t *table, size_t lanes, const uint16_t *codes, size_t n)
{
    int32_t sum = 0;
    for (size_t l = 0; l < lanes; l += LANES) {
        bytes16 best = {0};
        for (size_t t = 0; t < n; t++)
            best = max16(best, load16(table + codes[t] * lanes + l));
        for (size_t i = 0; i < LANES; i++)
            sum += best[i];
    }
    return sum;
}

#define KERNELS kernels_portable
#define NAME "portable"
#include "all.inc"
