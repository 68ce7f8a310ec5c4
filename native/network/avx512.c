/* AVX-512 with VNNI: 64 products of bytes an instruction, unsigned by signed, so codes are stored with
 * 128 added. */
#include "vectors512.h"
#include "vectors.h"

typedef uint8_t code_t;
enum { DEPTH = 4, ZERO = 128 };

static ALWAYS_INLINE void put_codes(code_t *to, floats x)
{
    _mm_storeu_si128((void *)to, bytes_of(x, ZERO));
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

#include "forward.inc"

const struct instruction_set network_avx512 = {.name = "avx512", .pack = pack, .forward = forward};
