/* Sixteen floats in one register of AVX-512: what vectors.h asks for. */
#ifndef RETRIEVAL_VECTORS512_H
#define RETRIEVAL_VECTORS512_H

#include "x86.h"

typedef __m512 floats;
typedef __m512i ints;

enum { WIDE = 4 };

static ALWAYS_INLINE floats load(const float *from)
{
    return _mm512_loadu_ps(from);
}

static ALWAYS_INLINE void store(float *to, floats x)
{
    _mm512_storeu_ps(to, x);
}

static ALWAYS_INLINE floats all(float x)
{
    return _mm512_set1_ps(x);
}

static ALWAYS_INLINE floats add(floats a, floats b)
{
    return _mm512_add_ps(a, b);
}

static ALWAYS_INLINE floats subtract(floats a, floats b)
{
    return _mm512_sub_ps(a, b);
}

static ALWAYS_INLINE floats multiply(floats a, floats b)
{
    return _mm512_mul_ps(a, b);
}

static ALWAYS_INLINE floats divide(floats a, floats b)
{
    return _mm512_div_ps(a, b);
}

static ALWAYS_INLINE floats multiply_add(floats a, floats b, floats c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static ALWAYS_INLINE floats larger(floats a, floats b)
{
    return _mm512_max_ps(a, b);
}

static ALWAYS_INLINE floats magnitude(floats x)
{
    return _mm512_abs_ps(x);
}

static ALWAYS_INLINE floats nearest(floats x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT);
}

static ALWAYS_INLINE floats times_power_of_two(floats x, floats n)
{
    return _mm512_scalef_ps(x, n);
}

static ALWAYS_INLINE floats where_negative(floats x, floats a, floats b)
{
    return _mm512_mask_mov_ps(b, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), a);
}

static ALWAYS_INLINE float sum_of(floats x)
{
    return sum_of_eight(
        _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1)));
}

static ALWAYS_INLINE float largest_of(floats x)
{
    return largest_of_eight(
        _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1)));
}

/* The nearest integers with `zero` added, as unsigned bytes. */
static ALWAYS_INLINE __m128i bytes_of(floats x, int zero)
{
    __m512i code = _mm512_add_epi32(_mm512_cvtps_epi32(x), _mm512_set1_epi32(zero));
    code = _mm512_max_epi32(code, _mm512_setzero_si512());
    return _mm512_cvtusepi32_epi8(code);
}

static ALWAYS_INLINE ints load_ints(const int32_t *from)
{
    return _mm512_load_si512(from);
}

static ALWAYS_INLINE floats floats_of(ints x)
{
    return _mm512_cvtepi32_ps(x);
}

#endif
