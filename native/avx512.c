/* AVX-512 with VNNI: 64 multiplications of bytes an instruction.
 *
 * vpdpbusd multiplies unsigned by signed bytes, so tokens are moved to unsigned by flipping their
 * top bit (adding 128), and a tile's accumulators start from -128 times its vector's sum: exact. */
#include <immintrin.h>
#include <math.h>

#include "bytes16.h"
#include "memory.h"

typedef int8_t tile_t;
typedef uint8_t token_t;
enum { GROUPED = 4, BIAS = 128, ROWS = 8 };

#define UNROLL _Pragma("GCC unroll 8")

static __mmask64 low64(size_t n)
{
    return n >= 64 ? ~0ull : (1ull << n) - 1;
}

static void widen(const int8_t *from, token_t *to, size_t n)
{
    const __m512i top = _mm512_set1_epi8(-128);
    size_t i = 0;
    for (; i + 64 <= n; i += 64)
        _mm512_storeu_si512(to + i, _mm512_xor_si512(_mm512_loadu_si512(from + i), top));
    if (i < n) {
        __m512i rest = _mm512_maskz_loadu_epi8(low64(n - i), from + i);
        _mm512_mask_storeu_epi8(to + i, low64(n - i), _mm512_xor_si512(rest, top));
    }
}

/* sum += the products of four unsigned and four signed bytes in each lane. Not the intrinsic:
 * GCC 12 copies every accumulator around it, which halves the speed. */
static ALWAYS_INLINE __m512i multiply_add(__m512i sum, __m512i tokens, __m512i values)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(tokens), "v"(values));
    return sum;
}

/* sums[s][t] = the products of tile s and token t; `tiles` and `rows` are constants. */
static ALWAYS_INLINE void multiply(const char *tile, const int tiles, const token_t *tokens,
                                   const int rows, size_t d, __m512i sums[2][ROWS])
{
    const size_t bytes = LANES * (sizeof(int32_t) + d);
    UNROLL for (int s = 0; s < tiles; s++)
        UNROLL for (int t = 0; t < rows; t++)
            sums[s][t] = _mm512_load_si512(tile + (size_t)s * bytes);
    const char *body = tile + LANES * sizeof(int32_t);
    for (size_t j = 0; j < d; j += GROUPED) {
        __m512i values[2];
        UNROLL for (int s = 0; s < tiles; s++)
            values[s] = _mm512_load_si512(body + (size_t)s * bytes + j * LANES);
        UNROLL for (int t = 0; t < rows; t++) {
            int32_t four;
            memcpy(&four, tokens + (size_t)t * d + j, sizeof four);
            __m512i token = _mm512_set1_epi32(four);
            UNROLL for (int s = 0; s < tiles; s++)
                sums[s][t] = multiply_add(sums[s][t], token, values[s]);
        }
    }
}

static ALWAYS_INLINE void products_of(const char *tile, const int tiles, const token_t *tokens,
                                      const int rows, size_t used, size_t d, int32_t *out)
{
    __m512i sums[2][ROWS];
    multiply(tile, tiles, tokens, rows, d, sums);
    UNROLL for (int t = 0; t < rows; t++) {
        if ((size_t)t < used)
            UNROLL for (int s = 0; s < tiles; s++)
                _mm512_storeu_si512(out + (t * tiles + s) * LANES, sums[s][t]);
    }
}

static void products(const char *tile, size_t tiles, const token_t *tokens, size_t rows, size_t d,
                     int32_t *out)
{
    if (tiles == 2)
        products_of(tile, 2, tokens, ROWS, rows, d, out);
    else
        products_of(tile, 1, tokens, ROWS, rows, d, out);
}

#define OWN_PRODUCT_LOOPS
#include "tiles.inc"

/* What becomes of products: a float's or an integer's maximum, or its tile for each token. */
enum sink { SCALED, PLAIN, TILE };

struct place {
    const float *scales;  /* SCALED: [tokens] */
    int32_t *best, *found; /* TILE: [tokens, LANES] */
    int32_t number;       /* TILE: of the first tile */
};

/* The products of `rows` tokens from t, of which `used` count; SCALED and PLAIN go to `high`. */
static ALWAYS_INLINE void take(const enum sink sink, const char *tile, const int tiles,
                               const token_t *tokens, size_t t, const int rows, size_t used,
                               size_t d, const struct place *to, __m512i high[2])
{
    __m512i sums[2][ROWS];
    multiply(tile, tiles, tokens + t * d, rows, d, sums);
    UNROLL for (int i = 0; i < rows; i++) {
        if ((size_t)i >= used)
            continue;
        if (sink == SCALED) {
            __m512 scale = _mm512_set1_ps(to->scales[t + (size_t)i]);
            UNROLL for (int s = 0; s < tiles; s++) {
                __m512 score = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[s][i]), scale);
                high[s] = _mm512_castps_si512(_mm512_max_ps(score, _mm512_castsi512_ps(high[s])));
            }
        } else if (sink == PLAIN) {
            UNROLL for (int s = 0; s < tiles; s++)
                high[s] = _mm512_max_epi32(high[s], sums[s][i]);
        } else {
            int32_t *best = to->best + (t + (size_t)i) * LANES;
            int32_t *found = to->found + (t + (size_t)i) * LANES;
            __m512i most = _mm512_load_si512(best), number = _mm512_load_si512(found);
            UNROLL for (int s = 0; s < tiles; s++) {
                __mmask16 more = _mm512_cmpgt_epi32_mask(sums[s][i], most);
                most = _mm512_max_epi32(most, sums[s][i]);
                number = _mm512_mask_mov_epi32(number, more, _mm512_set1_epi32(to->number + s));
            }
            _mm512_store_si512(best, most);
            _mm512_store_si512(found, number);
        }
    }
}

/* All n tokens, by eights; the last ones in a group of 8, 4 or 1, some of it not used. */
static ALWAYS_INLINE void take_all(const enum sink sink, const char *tile, const int tiles,
                                   const token_t *tokens, size_t n, size_t d,
                                   const struct place *to, void *best)
{
    __m512i high[2];
    UNROLL for (int s = 0; s < tiles && sink != TILE; s++)
        high[s] = _mm512_load_si512((char *)best + s * 64);
    size_t t = 0;
    for (; t + ROWS <= n; t += ROWS)
        take(sink, tile, tiles, tokens, t, ROWS, ROWS, d, to, high);
    if (n - t > 4)
        take(sink, tile, tiles, tokens, t, ROWS, n - t, d, to, high);
    else if (n - t > 1)
        take(sink, tile, tiles, tokens, t, 4, n - t, d, to, high);
    else if (n > t)
        take(sink, tile, tiles, tokens, t, 1, 1, d, to, high);
    UNROLL for (int s = 0; s < tiles && sink != TILE; s++)
        _mm512_store_si512((char *)best + s * 64, high[s]);
}

static void best_scaled(const char *tile, size_t tiles, const token_t *tokens, size_t n, size_t d,
                        const float *scales, float *best)
{
    const struct place to = {.scales = scales};
    if (tiles == 2)
        take_all(SCALED, tile, 2, tokens, n, d, &to, best);
    else
        take_all(SCALED, tile, 1, tokens, n, d, &to, best);
}

static void best_plain(const char *tile, size_t tiles, const token_t *tokens, size_t n, size_t d,
                       int32_t *best)
{
    const struct place to = {0};
    if (tiles == 2)
        take_all(PLAIN, tile, 2, tokens, n, d, &to, best);
    else
        take_all(PLAIN, tile, 1, tokens, n, d, &to, best);
}

static void best_tile(const char *tile, size_t tiles, int32_t number, const token_t *tokens,
                      size_t n, size_t d, int32_t *best, int32_t *found)
{
    const struct place to = {.best = best, .found = found, .number = number};
    if (tiles == 2)
        take_all(TILE, tile, 2, tokens, n, d, &to, NULL);
    else
        take_all(TILE, tile, 1, tokens, n, d, &to, NULL);
}

/* Decode one token; `flip` is added without carry. Stores whole registers where `whole` is set:
 * then up to 63 bytes beyond the token are written, for the next token to overwrite. */
static ALWAYS_INLINE void decode_one(const uint8_t *residual, const int8_t *centroid,
                                     __m512i table, size_t width, const unsigned bits,
                                     const int whole, __m512i flip, int8_t *out)
{
    const __m512i low = _mm512_set1_epi8((char)((1 << bits) - 1));
    for (size_t j = 0; j < width; j += 64) {
        __mmask64 mask = low64(width - j);
        __m512i packed = _mm512_maskz_loadu_epi8(mask, residual + j);
        UNROLL for (unsigned i = 0; i < 8 / bits; i++) {
            __m512i code = _mm512_and_si512(_mm512_srli_epi16(packed, i * bits), low);
            __m512i base = _mm512_maskz_loadu_epi8(mask, centroid + i * width + j);
            __m512i value = _mm512_adds_epi8(base, _mm512_shuffle_epi8(table, code));
            value = _mm512_xor_si512(value, flip);
            if (whole && width <= 64)
                _mm512_storeu_si512(out + i * width + j, value);
            else
                _mm512_mask_storeu_epi8(out + i * width + j, mask, value);
        }
    }
}

static ALWAYS_INLINE void decode_all(const struct compressed *c, size_t first, size_t n,
                                     const unsigned bits, const int whole, __m512i flip,
                                     int8_t *out)
{
    const __mmask16 known = bits == 4 ? 0xffff : 0xf;
    const size_t d = c->d, width = d * bits / 8;
    for (size_t t = 0; t < n; t++) {
        const size_t code = c->codes[first + t];
        const int8_t *levels = c->levels + ((size_t)c->classes[code] << bits);
        const __m512i table = _mm512_broadcast_i32x4(_mm_maskz_loadu_epi8(known, levels));
        decode_one(c->residuals + (first + t) * width, c->centroids + code * d, table, width,
                   bits, whole, flip, out + t * d);
    }
}

static void decode_tokens(const struct compressed *c, size_t first, size_t n, int8_t *out)
{
    const __m512i flip = _mm512_setzero_si512();
    if (c->bits == 4)
        decode_all(c, first, n, 4, 0, flip, out);
    else
        decode_all(c, first, n, 2, 0, flip, out);
}

/* Decode into a token buffer, which has a cache line to spare behind it. */
static void fill(const struct compressed *c, size_t first, size_t n, token_t *buffer)
{
    const __m512i flip = _mm512_set1_epi8(-128);
    if (c->bits == 4)
        decode_all(c, first, n, 4, 1, flip, (int8_t *)buffer);
    else
        decode_all(c, first, n, 2, 1, flip, (int8_t *)buffer);
}

/* The sum over `lanes` <= 64 columns of the largest value in the rows that the codes name. */
static int32_t max_columns(const uint8_t *columns, size_t lanes, size_t stride,
                           const uint16_t *codes, size_t n)
{
    const __mmask64 mask = low64(lanes);
    __m512i best = _mm512_setzero_si512(), other = best;
    size_t t = 0;
    for (; t + 2 <= n; t += 2) {
        best = _mm512_max_epu8(best, _mm512_maskz_loadu_epi8(mask, columns + codes[t] * stride));
        other = _mm512_max_epu8(
            other, _mm512_maskz_loadu_epi8(mask, columns + codes[t + 1] * stride));
    }
    if (t < n)
        best = _mm512_max_epu8(best, _mm512_maskz_loadu_epi8(mask, columns + codes[t] * stride));
    best = _mm512_sad_epu8(_mm512_max_epu8(best, other), _mm512_setzero_si512());
    return (int32_t)_mm512_reduce_add_epi64(best);
}

/* The same for 32 columns, most queries' width: two loads a token, four chains of maxima. */
static int32_t max_32(const uint8_t *table, const uint16_t *codes, size_t n)
{
    __m256i best[4];
    UNROLL for (int i = 0; i < 4; i++)
        best[i] = _mm256_setzero_si256();
    size_t t = 0;
    for (; t + 4 <= n; t += 4)
        UNROLL for (int i = 0; i < 4; i++) {
            const uint8_t *row = table + (size_t)codes[t + (size_t)i] * 32;
            best[i] = _mm256_max_epu8(best[i], _mm256_loadu_si256((const void *)row));
        }
    for (; t < n; t++) {
        const uint8_t *row = table + (size_t)codes[t] * 32;
        best[0] = _mm256_max_epu8(best[0], _mm256_loadu_si256((const void *)row));
    }
    __m256i all = _mm256_max_epu8(_mm256_max_epu8(best[0], best[1]),
                                  _mm256_max_epu8(best[2], best[3]));
    all = _mm256_sad_epu8(all, _mm256_setzero_si256());
    return (int32_t)_mm512_reduce_add_epi64(_mm512_zextsi256_si512(all));
}

static int32_t max_rows(const uint8_t *table, size_t lanes, const uint16_t *codes, size_t n)
{
    if (lanes == 32)
        return max_32(table, codes, n);
    int32_t sum = 0;
    for (size_t l = 0; l < lanes; l += 64)
        sum += max_columns(table + l, lanes - l < 64 ? lanes - l : 64, lanes, codes, n);
    return sum;
}

#define KERNELS kernels_avx512
#define NAME "avx512"
#define HAVE_TILES
#define OWN_DECODING
#include "all.inc"
