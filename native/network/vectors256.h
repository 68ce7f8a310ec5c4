/* Sixteen floats in two registers of AVX2 and FMA: what vectors.h asks for. */
#ifndef RETRIEVAL_VECTORS256_H
#define RETRIEVAL_VECTORS256_H

#include "x86.h"

typedef struct {
    __m256 low, high;
} floats;

typedef struct {
    __m256i low, high;
} ints;

enum { WIDE = 1 };

static ALWAYS_INLINE floats load(const float *from)
{
    return (floats){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}

static ALWAYS_INLINE void store(float *to, floats x)
{
    _mm256_storeu_ps(to, x.low);
    _mm256_storeu_ps(to + 8, x.high);
}

static ALWAYS_INLINE floats all(float x)
{
    const __m256 each = _mm256_set1_ps(x);
    return (floats){each, each};
}

static ALWAYS_INLINE floats add(floats a, floats b)
{
    return (floats){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

static ALWAYS_INLINE floats subtract(floats a, floats b)
{
    return (floats){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}

static ALWAYS_INLINE floats multiply(floats a, floats b)
{
    return (floats){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

static ALWAYS_INLINE floats divide(floats a, floats b)
{
    return (floats){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}

static ALWAYS_INLINE floats multiply_add(floats a, floats b, floats c)
{
    return (floats){_mm256_fmadd_ps(a.low, b.low, c.low),
                    _mm256_fmadd_ps(a.high, b.high, c.high)};
}

static ALWAYS_INLINE floats larger(floats a, floats b)
{
    return (floats){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

static ALWAYS_INLINE floats magnitude(floats x)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (floats){_mm256_andnot_ps(sign, x.low), _mm256_andnot_ps(sign, x.high)};
}

static ALWAYS_INLINE floats nearest(floats x)
{
    enum { WAY = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC };
    return (floats){_mm256_round_ps(x.low, WAY), _mm256_round_ps(x.high, WAY)};
}

/* 2^n, whose exponent is n and 127. */
static ALWAYS_INLINE __m256 power_of_two(__m256 n)
{
    __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}

static ALWAYS_INLINE floats times_power_of_two(floats x, floats n)
{
    return multiply(x, (floats){power_of_two(n.low), power_of_two(n.high)});
}

static ALWAYS_INLINE floats where_negative(floats x, floats a, floats b)
{
    const __m256 zero = _mm256_setzero_ps();
    return (floats){
        _mm256_blendv_ps(b.low, a.low, _mm256_cmp_ps(x.low, zero, _CMP_LT_OQ)),
        _mm256_blendv_ps(b.high, a.high, _mm256_cmp_ps(x.high, zero, _CMP_LT_OQ)),
    };
}

static ALWAYS_INLINE float sum_of(floats x)
{
    return sum_of_eight(_mm256_add_ps(x.low, x.high));
}

static ALWAYS_INLINE float largest_of(floats x)
{
    return largest_of_eight(_mm256_max_ps(x.low, x.high));
}

static ALWAYS_INLINE ints load_ints(const int32_t *from)
{
    return (ints){_mm256_load_si256((const void *)from), _mm256_load_si256((const void *)(from + 8))};
}

static ALWAYS_INLINE floats floats_of(ints x)
{
    return (floats){_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)};
}

/* The nearest integers, which fit 16 bits, in their order. */
static ALWAYS_INLINE __m256i words_of(floats x)
{
    __m256i mixed = _mm256_packs_epi32(_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high));
    return _mm256_permute4x64_epi64(mixed, 0xd8);
}

#endif
