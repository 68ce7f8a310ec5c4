/* Sixteen floats in four registers of NEON: what vectors.h asks for. */
#ifndef RETRIEVAL_VECTORS128_H
#define RETRIEVAL_VECTORS128_H

#include <arm_neon.h>

#include "inlining.h"

typedef float32x4x4_t floats;
typedef int32x4x4_t ints;

enum { WIDE = 1 };

/* A function of each of the four registers. */
#define EACH(expression)                                                                           \
    floats out;                                                                                    \
    UNROLL for (int i = 0; i < 4; i++)                                                             \
        out.val[i] = (expression);                                                                 \
    return out

static ALWAYS_INLINE floats load(const float *from)
{
    EACH(vld1q_f32(from + 4 * i));
}

static ALWAYS_INLINE void store(float *to, floats x)
{
    UNROLL for (int i = 0; i < 4; i++)
        vst1q_f32(to + 4 * i, x.val[i]);
}

static ALWAYS_INLINE floats all(float x)
{
    EACH(vdupq_n_f32(x));
}

static ALWAYS_INLINE floats add(floats a, floats b)
{
    EACH(vaddq_f32(a.val[i], b.val[i]));
}

static ALWAYS_INLINE floats subtract(floats a, floats b)
{
    EACH(vsubq_f32(a.val[i], b.val[i]));
}

static ALWAYS_INLINE floats multiply(floats a, floats b)
{
    EACH(vmulq_f32(a.val[i], b.val[i]));
}

static ALWAYS_INLINE floats divide(floats a, floats b)
{
    EACH(vdivq_f32(a.val[i], b.val[i]));
}

static ALWAYS_INLINE floats multiply_add(floats a, floats b, floats c)
{
    EACH(vfmaq_f32(c.val[i], a.val[i], b.val[i]));
}

static ALWAYS_INLINE floats larger(floats a, floats b)
{
    EACH(vmaxq_f32(a.val[i], b.val[i]));
}

static ALWAYS_INLINE floats magnitude(floats x)
{
    EACH(vabsq_f32(x.val[i]));
}

static ALWAYS_INLINE floats nearest(floats x)
{
    EACH(vrndnq_f32(x.val[i]));
}

/* 2^n, whose exponent is n and 127. */
static ALWAYS_INLINE float32x4_t power_of_two(float32x4_t n)
{
    int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
}

static ALWAYS_INLINE floats times_power_of_two(floats x, floats n)
{
    EACH(vmulq_f32(x.val[i], power_of_two(n.val[i])));
}

static ALWAYS_INLINE floats where_negative(floats x, floats a, floats b)
{
    EACH(vbslq_f32(vcltzq_f32(x.val[i]), a.val[i], b.val[i]));
}

static ALWAYS_INLINE float sum_of(floats x)
{
    float32x4_t four = vaddq_f32(vaddq_f32(x.val[0], x.val[2]), vaddq_f32(x.val[1], x.val[3]));
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

static ALWAYS_INLINE float largest_of(floats x)
{
    float32x4_t four = vmaxq_f32(vmaxq_f32(x.val[0], x.val[2]), vmaxq_f32(x.val[1], x.val[3]));
    return vmaxvq_f32(four);
}

static ALWAYS_INLINE ints load_ints(const int32_t *from)
{
    ints out;
    UNROLL for (int i = 0; i < 4; i++)
        out.val[i] = vld1q_s32(from + 4 * i);
    return out;
}

static ALWAYS_INLINE floats floats_of(ints x)
{
    EACH(vcvtq_f32_s32(x.val[i]));
}

/* The nearest integers, which fit 8 bits. */
static ALWAYS_INLINE int8x16_t bytes_of(floats x)
{
    int16x8_t low = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(x.val[0])),
                                 vqmovn_s32(vcvtnq_s32_f32(x.val[1])));
    int16x8_t high = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(x.val[2])),
                                  vqmovn_s32(vcvtnq_s32_f32(x.val[3])));
    return vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
}

#undef EACH

#endif
