/* NEON with products of matrices of bytes (optional from ARMv8.2, required from ARMv8.6 on): an
 * instruction multiplies two tokens by two output channels, eight bytes of each. */
#include <stddef.h>
#include <stdint.h>

#include "vectors128.h"
#include "vectors.h"

typedef int8_t code_t;
enum { DEPTH = 8, ZERO = 0 };

static ALWAYS_INLINE void put_codes(code_t *to, floats x)
{
    vst1q_s8(to, bytes_of(x));
}

#include "registers.h"

/* Two tokens of the rows, of which the second is the first again where their number is odd. */
static ALWAYS_INLINE void products_of_codes(const int8_t *tile, const int32_t *starts,
                                            const code_t *codes, size_t in, const int rows,
                                            ints sums[ROWS][WIDE])
{
    enum { PAIRS = ROWS / 2, CHANNEL_PAIRS = LANES / 2 };
    const int pairs = (rows + 1) / 2;
    /* [pair of tokens][pair of channels], of two tokens by two channels each */
    int32x4_t blocks[PAIRS][CHANNEL_PAIRS];
    UNROLL for (int c = 0; c < CHANNEL_PAIRS; c++) {
        int32x2_t start = vld1_s32(starts + 2 * c);
        UNROLL for (int p = 0; p < pairs; p++)
            blocks[p][c] = vcombine_s32(start, start);
    }
    for (size_t k = 0; k < in; k += DEPTH, tile += DEPTH * LANES) {
        int8x16_t tokens[PAIRS];
        UNROLL for (int p = 0; p < pairs; p++) {
            const int other = 2 * p + 1 < rows ? 2 * p + 1 : 2 * p;
            tokens[p] = vcombine_s8(vld1_s8(codes + (size_t)(2 * p) * in + k),
                                    vld1_s8(codes + (size_t)other * in + k));
        }
        UNROLL for (int c = 0; c < CHANNEL_PAIRS; c++) {
            int8x16_t weights = vld1q_s8(tile + 2 * DEPTH * c);
            UNROLL for (int p = 0; p < pairs; p++)
                blocks[p][c] = vmmlaq_s32(blocks[p][c], tokens[p], weights);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int i = 0; i < 4; i++) {
            int32x4_t left = blocks[r / 2][2 * i], right = blocks[r / 2][2 * i + 1];
            sums[r][0].val[i] =
                r % 2 == 0 ? vcombine_s32(vget_low_s32(left), vget_low_s32(right))
                           : vcombine_s32(vget_high_s32(left), vget_high_s32(right));
        }
}

#include "forward.inc"

const struct instruction_set network_i8mm = {.name = "i8mm", .pack = pack, .forward = forward};
