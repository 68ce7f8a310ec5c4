/* Sixteen floats in a register, and the functions of them that the network needs. */
#ifndef RETRIEVAL_VECTORS_H
#define RETRIEVAL_VECTORS_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "network.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

typedef __m512 floats;

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

static ALWAYS_INLINE floats multiply_add(floats a, floats b, floats c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* sum += the products of four unsigned and four signed bytes in each lane. Not the intrinsic: GCC 12
 * copies every accumulator around it, which halves the speed. */
static ALWAYS_INLINE __m512i multiply_add_bytes(__m512i sum, __m512i codes, __m512i weights)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(weights));
    return sum;
}

/* e to the power of x <= 0, to about an ulp; below -87 it is e^-87. As 2^n times a polynomial
 * of the rest, the Taylor series to the sixth power on [-ln 2 / 2, ln 2 / 2]. */
static ALWAYS_INLINE floats exponential(floats x)
{
    x = _mm512_max_ps(x, all(-87.0f));
    floats n = _mm512_roundscale_ps(_mm512_mul_ps(x, all(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
    floats r = multiply_add(n, all(-0.693359375f), x);
    r = multiply_add(n, all(2.12194440e-4f), r);
    floats p = all(1.0f / 720);
    p = multiply_add(p, r, all(1.0f / 120));
    p = multiply_add(p, r, all(1.0f / 24));
    p = multiply_add(p, r, all(1.0f / 6));
    p = multiply_add(p, r, all(0.5f));
    p = multiply_add(p, r, all(1.0f));
    p = multiply_add(p, r, all(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* x times the normal distribution's share below x. The error function is formula 7.1.26 of
 * Abramowitz and Stegun, Handbook of Mathematical Functions (1964): off by 1.5e-7 at most. */
static ALWAYS_INLINE floats gelu(floats x)
{
    const floats one = all(1.0f);
    floats z = _mm512_mul_ps(_mm512_abs_ps(x), all(0.70710678f));
    floats t = _mm512_div_ps(one, multiply_add(z, all(0.3275911f), one));
    floats p = all(1.061405429f);
    p = multiply_add(p, t, all(-1.453152027f));
    p = multiply_add(p, t, all(1.421413741f));
    p = multiply_add(p, t, all(-0.284496736f));
    p = multiply_add(p, t, all(0.254829592f));
    floats square = _mm512_mul_ps(z, _mm512_sub_ps(_mm512_setzero_ps(), z));
    floats tail = _mm512_mul_ps(_mm512_mul_ps(p, t), _mm512_mul_ps(all(0.5f), exponential(square)));
    __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    return _mm512_mul_ps(x, _mm512_mask_mov_ps(_mm512_sub_ps(one, tail), negative, tail));
}

static ALWAYS_INLINE float sum_of(floats x)
{
    return _mm512_reduce_add_ps(x);
}

/* The product of two vectors of n floats, n a multiple of 16. */
static inline float dot(const float *a, const float *b, size_t n)
{
    floats sum = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += LANES)
        sum = multiply_add(load(a + i), load(b + i), sum);
    return sum_of(sum);
}

#endif
