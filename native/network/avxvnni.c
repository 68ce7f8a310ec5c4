/* AVX2 with AVX-VNNI: 32 products of bytes an instruction, unsigned by signed, so codes are stored
 * with 128 added. */
#include "vectors256.h"
#include "vectors.h"

typedef uint8_t code_t;
enum { DEPTH = 4, ZERO = 128 };

static ALWAYS_INLINE void put_codes(code_t *to, floats x)
{
    __m256i words = _mm256_add_epi16(words_of(x), _mm256_set1_epi16(ZERO));
    _mm_storeu_si128((void *)to, _mm_packus_epi16(_mm256_castsi256_si128(words),
                                                  _mm256_extracti128_si256(words, 1)));
}

typedef __m256i token_t;
typedef ints weights_t;

static ALWAYS_INLINE token_t token_of(const code_t *codes)
{
    return _mm256_set1_epi32(four_bytes(codes));
}

static ALWAYS_INLINE weights_t load_weights(const int8_t *from)
{
    return load_ints((const int32_t *)(const void *)from);
}

/* Not the intrinsic: GCC 12 copies every accumulator around it. */
static ALWAYS_INLINE __m256i add_eight(__m256i sum, token_t token, __m256i weights)
{
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(token), "x"(weights));
    return sum;
}

static ALWAYS_INLINE ints add_products(ints sum, token_t token, weights_t weights)
{
    return (ints){add_eight(sum.low, token, weights.low), add_eight(sum.high, token, weights.high)};
}

#include "broadcast.h"

#include "forward.inc"

const struct instruction_set network_avxvnni = {.name = "avxvnni", .pack = pack, .forward = forward};
