/* Portable C: what any compiler makes of plain loops. */
#include <math.h>

#include "bytes16.h"
#include "memory.h"

typedef int16_t tile_t, token_t;
enum { GROUPED = 1, BIAS = 0, ROWS = 4 };

static void widen(const int8_t *from, token_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = from[i];
}

static void products(const char *tile, size_t tiles, const token_t *tokens, size_t rows, size_t d,
                     int32_t *out)
{
    size_t bytes = LANES * (sizeof(int32_t) + d * sizeof(tile_t));
    for (size_t s = 0; s < tiles; s++) {
        const int32_t *head = (const int32_t *)(const void *)(tile + s * bytes);
        const tile_t *body = (const tile_t *)(const void *)(head + LANES);
        for (size_t i = 0; i < rows; i++) {
            int32_t sums[LANES];
            memcpy(sums, head, sizeof sums);
            for (size_t j = 0; j < d; j++)
                for (size_t l = 0; l < LANES; l++)
                    sums[l] += tokens[i * d + j] * body[j * LANES + l];
            memcpy(out + (i * tiles + s) * LANES, sums, sizeof sums);
        }
    }
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
