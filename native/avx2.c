/* AVX2: 16 multiplications an instruction. Bytes are widened to i16, whose pairs vpmaddwd
 * multiplies and adds without overflow; its counterpart for bytes would saturate. */
#include <immintrin.h>
#include <math.h>

#include "bytes16.h"
#include "memory.h"

typedef int16_t tile_t, token_t;
enum { GROUPED = 2, BIAS = 0, ROWS = 4 };

#define UNROLL _Pragma("GCC unroll 4")

static void widen(const int8_t *from, token_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = from[i];
}

static ALWAYS_INLINE void tile_products(const char *tile, const token_t *tokens, const int rows,
                                        size_t d, int32_t *out, size_t stride)
{
    const char *body = tile + LANES * sizeof(int32_t);
    __m256i low[ROWS], high[ROWS];
    UNROLL for (int t = 0; t < rows; t++) {
        low[t] = _mm256_load_si256((const void *)tile);
        high[t] = _mm256_load_si256((const void *)(tile + 32));
    }
    for (size_t j = 0; j < d; j += GROUPED) {
        __m256i first = _mm256_load_si256((const void *)(body + j * 32));
        __m256i second = _mm256_load_si256((const void *)(body + j * 32 + 32));
        UNROLL for (int t = 0; t < rows; t++) {
            int32_t pair;
            memcpy(&pair, tokens + (size_t)t * d + j, sizeof pair);
            __m256i token = _mm256_set1_epi32(pair);
            low[t] = _mm256_add_epi32(low[t], _mm256_madd_epi16(token, first));
            high[t] = _mm256_add_epi32(high[t], _mm256_madd_epi16(token, second));
        }
    }
    UNROLL for (int t = 0; t < rows; t++) {
        _mm256_storeu_si256((void *)(out + (size_t)t * stride), low[t]);
        _mm256_storeu_si256((void *)(out + (size_t)t * stride + 8), high[t]);
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

/* Up to 16 bytes, the others 0. */
static ALWAYS_INLINE __m128i load_part(const void *from, size_t n)
{
    __m128i result = _mm_setzero_si128();
    if (n >= 16)
        return _mm_loadu_si128(from);
    memcpy(&result, from, n);
    return result;
}

static void decode_token(const uint8_t *residual, const int8_t *centroid, const int8_t *levels,
                         size_t width, unsigned bits, int8_t *out)
{
    const __m128i table = load_part(levels, (size_t)1 << bits);
    const __m128i low = _mm_set1_epi8((char)((1 << bits) - 1));
    for (size_t j = 0; j < width; j += 16) {
        size_t n = width - j < 16 ? width - j : 16;
        __m128i packed = load_part(residual + j, n);
        for (unsigned i = 0; i * bits < 8; i++) {
            __m128i shift = _mm_cvtsi32_si128((int)(i * bits));
            __m128i code = _mm_and_si128(_mm_srl_epi16(packed, shift), low);
            __m128i base = load_part(centroid + i * width + j, n);
            __m128i value = _mm_adds_epi8(base, _mm_shuffle_epi8(table, code));
            memcpy(out + i * width + j, &value, n);
        }
    }
}

/* The sum over all columns of the largest value in the rows that the codes name. */
static int32_t max_rows(const uint8_t *table, size_t lanes, const uint16_t *codes, size_t n)
{
    __m256i sum = _mm256_setzero_si256();
    size_t l = 0;
    for (; l + 32 <= lanes; l += 32) {
        __m256i best = _mm256_setzero_si256(), other = best;
        size_t t = 0;
        for (; t + 2 <= n; t += 2) {
            const uint8_t *row = table + codes[t] * lanes + l;
            const uint8_t *next = table + codes[t + 1] * lanes + l;
            best = _mm256_max_epu8(best, _mm256_loadu_si256((const void *)row));
            other = _mm256_max_epu8(other, _mm256_loadu_si256((const void *)next));
        }
        if (t < n) {
            const uint8_t *row = table + codes[t] * lanes + l;
            best = _mm256_max_epu8(best, _mm256_loadu_si256((const void *)row));
        }
        best = _mm256_max_epu8(best, other);
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(best, _mm256_setzero_si256()));
    }
    if (l < lanes) { /* the last sixteen */
        __m128i best = _mm_setzero_si128();
        for (size_t t = 0; t < n; t++) {
            const uint8_t *row = table + codes[t] * lanes + l;
            best = _mm_max_epu8(best, _mm_loadu_si128((const void *)row));
        }
        best = _mm_sad_epu8(best, _mm_setzero_si128());
        sum = _mm256_add_epi64(sum, _mm256_zextsi128_si256(best));
    }
    int64_t parts[4];
    memcpy(parts, &sum, sizeof parts);
    return (int32_t)(parts[0] + parts[1] + parts[2] + parts[3]);
}

#define KERNELS kernels_avx2
#define NAME "avx2"
#include "all.inc"
