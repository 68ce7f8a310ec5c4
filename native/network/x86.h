/* What the x86 instruction sets have in common: the sum and the largest of eight floats, in the order
 * that `sum_of` is defined by, and four bytes to be broadcast. */
#ifndef RETRIEVAL_X86_H
#define RETRIEVAL_X86_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "inlining.h"

static ALWAYS_INLINE float sum_of_eight(__m256 x)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static ALWAYS_INLINE float largest_of_eight(__m256 x)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static ALWAYS_INLINE int32_t four_bytes(const void *from)
{
    int32_t four;
    memcpy(&four, from, sizeof four);
    return four;
}

#endif
