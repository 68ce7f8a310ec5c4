/* NEON with the dot product instructions (ARMv8.2 onwards): 16 multiplications an instruction,
 * signed by signed. */
#include <arm_neon.h>
#include <math.h>

#include "bytes16.h"
#include "memory.h"

typedef int8_t tile_t, token_t;
enum { GROUPED = 4, BIAS = 0, ROWS = 4 };

#define UNROLL _Pragma("GCC unroll 4")

static void widen(const int8_t *from, token_t *to, size_t n)
{
    memcpy(to, from, n);
}

static ALWAYS_INLINE void tile_products(const char *tile, const token_t *tokens, const int rows,
                                        size_t d, int32_t *out, size_t stride)
{
    const int32_t *head = (const int32_t *)(const void *)tile;
    const int8_t *body = (const int8_t *)(head + LANES);
    int32x4_t sums[ROWS][4];
    UNROLL for (int t = 0; t < rows; t++)
        UNROLL for (int p = 0; p < 4; p++)
            sums[t][p] = vld1q_s32(head + p * 4);
    for (size_t j = 0; j < d; j += 2 * GROUPED) {
        int8x8_t token[ROWS];
        UNROLL for (int t = 0; t < rows; t++)
            token[t] = vld1_s8(tokens + (size_t)t * d + j);
        UNROLL for (int p = 0; p < 4; p++) {
            int8x16_t first = vld1q_s8(body + j * LANES + p * 16);
            int8x16_t second = vld1q_s8(body + (j + GROUPED) * LANES + p * 16);
            UNROLL for (int t = 0; t < rows; t++) {
                sums[t][p] = vdotq_lane_s32(sums[t][p], first, token[t], 0);
                sums[t][p] = vdotq_lane_s32(sums[t][p], second, token[t], 1);
            }
        }
    }
    UNROLL for (int t = 0; t < rows; t++)
        UNROLL for (int p = 0; p < 4; p++)
            vst1q_s32(out + (size_t)t * stride + p * 4, sums[t][p]);
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

static ALWAYS_INLINE int8x16_t load_part(const void *from, size_t n)
{
    int8x16_t result = vdupq_n_s8(0);
    if (n >= 16)
        return vld1q_s8(from);
    memcpy(&result, from, n);
    return result;
}

static void decode_token(const uint8_t *residual, const int8_t *centroid, const int8_t *levels,
                         size_t width, unsigned bits, int8_t *out)
{
    const int8x16_t table = load_part(levels, (size_t)1 << bits);
    const uint8x16_t low = vdupq_n_u8((uint8_t)((1 << bits) - 1));
    for (size_t j = 0; j < width; j += 16) {
        size_t n = width - j < 16 ? width - j : 16;
        uint8x16_t packed = vreinterpretq_u8_s8(load_part(residual + j, n));
        for (unsigned i = 0; i * bits < 8; i++) {
            int8x16_t shift = vdupq_n_s8((int8_t)-(int)(i * bits));
            uint8x16_t code = vandq_u8(vshlq_u8(packed, shift), low);
            int8x16_t base = load_part(centroid + i * width + j, n);
            int8x16_t value = vqaddq_s8(base, vqtbl1q_s8(table, code));
            memcpy(out + i * width + j, &value, n);
        }
    }
}

/* The sum over all columns of the largest value in the rows that the codes name. */
static int32_t max_rows(const uint8_t *table, size_t lanes, const uint16_t *codes, size_t n)
{
    int32_t sum = 0;
    size_t l = 0;
    for (; l + 32 <= lanes; l += 32) {
        uint8x16_t best = vdupq_n_u8(0), other = best;
        for (size_t t = 0; t < n; t++) {
            const uint8_t *row = table + codes[t] * lanes + l;
            best = vmaxq_u8(best, vld1q_u8(row));
            other = vmaxq_u8(other, vld1q_u8(row + 16));
        }
        sum += vaddlvq_u8(best) + vaddlvq_u8(other);
    }
    if (l < lanes) { /* the last sixteen */
        uint8x16_t best = vdupq_n_u8(0);
        for (size_t t = 0; t < n; t++)
            best = vmaxq_u8(best, vld1q_u8(table + codes[t] * lanes + l));
        sum += vaddlvq_u8(best);
    }
    return sum;
}

#define KERNELS kernels_neon
#define NAME "neon"
#include "all.inc"
