/* AVX2: 16 products an instruction, of signed 16-bit values whose pairs are added in 32 bits. Its
 * product of bytes, vpmaddubsw, adds pairs in 16 bits, where 255 * 127 * 2 does not fit. Codes are
 * stored as 16 bits; weights stay bytes, which halves what a query reads of them, and are widened as
 * they are loaded, once for all rows of a step. */
#include "vectors256.h"
#include "vectors.h"

typedef int16_t code_t;
enum { DEPTH = 2, ZERO = 0 };

static ALWAYS_INLINE void put_codes(code_t *to, floats x)
{
    _mm256_storeu_si256((void *)to, words_of(x));
}

typedef __m256i token_t;
typedef ints weights_t;

static ALWAYS_INLINE token_t token_of(const code_t *codes)
{
    return _mm256_set1_epi32(four_bytes(codes));
}

static ALWAYS_INLINE weights_t load_weights(const int8_t *from)
{
    const __m128i *parts = (const void *)from;
    return (weights_t){_mm256_cvtepi8_epi16(_mm_load_si128(parts)),
                       _mm256_cvtepi8_epi16(_mm_load_si128(parts + 1))};
}

static ALWAYS_INLINE ints add_products(ints sum, token_t token, weights_t weights)
{
    return (ints){_mm256_add_epi32(sum.low, _mm256_madd_epi16(token, weights.low)),
                  _mm256_add_epi32(sum.high, _mm256_madd_epi16(token, weights.high))};
}

#include "broadcast.h"

#include "forward.inc"

const struct instruction_set network_avx2 = {.name = "avx2", .pack = pack, .forward = forward};
