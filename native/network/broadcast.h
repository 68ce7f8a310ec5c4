/* Products of codes where each step's codes of a token are broadcast to all output channels. The
 * including file defines token_t, weights_t, token_of(), load_weights() and add_products(). */
#ifndef RETRIEVAL_BROADCAST_H
#define RETRIEVAL_BROADCAST_H

#include "registers.h"

static ALWAYS_INLINE void products_of_codes(const int8_t *tile, const int32_t *starts,
                                            const code_t *codes, size_t in, const int rows,
                                            ints sums[ROWS][WIDE])
{
    UNROLL for (int w = 0; w < WIDE; w++) {
        ints start = load_ints(starts + w * LANES);
        UNROLL for (int r = 0; r < rows; r++)
            sums[r][w] = start;
    }
    for (size_t k = 0; k < in; k += DEPTH, tile += DEPTH * GROUP) {
        weights_t weights[WIDE];
        UNROLL for (int w = 0; w < WIDE; w++)
            weights[w] = load_weights(tile + w * DEPTH * LANES);
        UNROLL for (int r = 0; r < rows; r++) {
            token_t token = token_of(codes + (size_t)r * in + k);
            UNROLL for (int w = 0; w < WIDE; w++)
                sums[r][w] = add_products(sums[r][w], token, weights[w]);
        }
    }
}

#endif
