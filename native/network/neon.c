/* NEON with the dot product instructions (ARMv8.2 onwards): 16 products of bytes an instruction,
 * signed by signed. */
#include <stddef.h>
#include <stdint.h>

#include "vectors128.h"
#include "vectors.h"

typedef int8_t code_t;
enum { DEPTH = 4, ZERO = 0 };

static ALWAYS_INLINE void put_codes(code_t *to, floats x)
{
    vst1q_s8(to, bytes_of(x));
}

#include "registers.h"

/* Sixteen codes of a token at a time: an instruction takes four of them from their register. */
static ALWAYS_INLINE void products_of_codes(const int8_t *tile, const int32_t *starts,
                                            const code_t *codes, size_t in, const int rows,
                                            ints sums[ROWS][WIDE])
{
    enum { REGISTER = 16 };
    UNROLL for (int r = 0; r < rows; r++)
        sums[r][0] = load_ints(starts);
    for (size_t k = 0; k < in; k += REGISTER) {
        int8x16_t token[ROWS];
        UNROLL for (int r = 0; r < rows; r++)
            token[r] = vld1q_s8(codes + (size_t)r * in + k);
#define STEP(lane)                                                                                 \
    UNROLL for (int p = 0; p < 4; p++, tile += REGISTER) {                                         \
        int8x16_t weights = vld1q_s8(tile);                                                        \
        UNROLL for (int r = 0; r < rows; r++)                                                      \
            sums[r][0].val[p] = vdotq_laneq_s32(sums[r][0].val[p], weights, token[r], lane);       \
    }
        STEP(0)
        STEP(1)
        STEP(2)
        STEP(3)
#undef STEP
    }
}

#include "forward.inc"

const struct instruction_set network_neon = {.name = "neon", .pack = pack, .forward = forward};
