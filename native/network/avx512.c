/* AVX-512 with VNNI: 64 products of bytes an instruction, unsigned by signed, so codes are stored with
 * 128 added. */
#include "vectors512.h"
#include "vectors.h"

typedef uint8_t code_t;
enum { WIDE = 4, DEPTH = 4, ZERO = 128 };

static ALWAYS_INLINE void put_codes(code_t *to, floats x)
{
    __m512i code = _mm512_add_epi32(_mm512_cvtps_epi32(x), _mm512_set1_epi32(ZERO));
    code = _mm512_max_epi32(code, _mm512_setzero_si512());
    _mm_storeu_si128((void *)to, _mm512_cvtusepi32_epi8(code));
}

typedef __m512i token_t, weights_t;

static ALWAYS_INLINE token_t token_of(const code_t *codes)
{
    return _mm512_set1_epi32(four_bytes(codes));
}

static ALWAYS_INLINE weights_t load_weights(const int8_t *from)
{
    return _mm512_load_si512(from);
}

/* Not the intrinsic: GCC 12 copies every accumulator around it, which halves the speed. */
static ALWAYS_INLINE ints add_products(ints sum, token_t token, weights_t weights)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(token), "v"(weights));
    return sum;
}

#include "broadcast.h"

#define SET network_avx512
#define NAME "avx512"
#include "forward.inc"
