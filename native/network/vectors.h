/* Functions of sixteen floats, from the primitives of an instruction set. The including file has
 * included one of vectors512.h, vectors256.h and vectors128.h:
 *
 *   floats, ints          sixteen f32, sixteen i32, in one register or several
 *   WIDE                  how many of them beside each other, in TALL rows, are sums in registers
 *   load, store, all      from and to memory of any alignment; one value sixteen times
 *   add, subtract, multiply, divide, larger, magnitude, nearest (integer, to even)
 *   multiply_add          a * b + c, rounded once
 *   times_power_of_two    x * 2^n for integers n, where neither 2^n nor the result is subnormal
 *   where_negative        where x < 0 the one, elsewhere the other
 *   sum_of, largest_of    of all sixteen; sums by halves: i and i + 8, i and i + 4, i and i + 2, the two
 *   load_ints, floats_of  from aligned memory; i32 to f32
 *
 * Each is exact or rounds as IEEE 754 says, and nothing is left to the compiler's contraction, so what
 * is computed from them is the same to the bit on every processor. */
#ifndef RETRIEVAL_VECTORS_H
#define RETRIEVAL_VECTORS_H

#include <stddef.h>
#include <stdint.h>

enum { LANES = 16, TALL = 6 };

/* e to the power of x <= 0, to about an ulp; below -87 it is e^-87. As 2^n times a polynomial
 * of the rest, the Taylor series to the sixth power on [-ln 2 / 2, ln 2 / 2]. */
static ALWAYS_INLINE floats exponential(floats x)
{
    x = larger(x, all(-87.0f));
    floats n = nearest(multiply(x, all(1.44269504f)));
    floats r = multiply_add(n, all(-0.693359375f), x);
    r = multiply_add(n, all(2.12194440e-4f), r);
    floats p = all(1.0f / 720);
    p = multiply_add(p, r, all(1.0f / 120));
    p = multiply_add(p, r, all(1.0f / 24));
    p = multiply_add(p, r, all(1.0f / 6));
    p = multiply_add(p, r, all(0.5f));
    p = multiply_add(p, r, all(1.0f));
    p = multiply_add(p, r, all(1.0f));
    return times_power_of_two(p, n);
}

/* x times the normal distribution's share below x. The error function is formula 7.1.26 of
 * Abramowitz and Stegun, Handbook of Mathematical Functions (1964): off by 1.5e-7 at most. */
static ALWAYS_INLINE floats gelu(floats x)
{
    const floats one = all(1.0f);
    floats z = multiply(magnitude(x), all(0.70710678f));
    floats t = divide(one, multiply_add(z, all(0.3275911f), one));
    floats p = all(1.061405429f);
    p = multiply_add(p, t, all(-1.453152027f));
    p = multiply_add(p, t, all(1.421413741f));
    p = multiply_add(p, t, all(-0.284496736f));
    p = multiply_add(p, t, all(0.254829592f));
    floats square = multiply(z, subtract(all(0.0f), z));
    floats tail = multiply(multiply(p, t), multiply(all(0.5f), exponential(square)));
    return multiply(x, where_negative(x, tail, subtract(one, tail)));
}

/* The product of two vectors of n floats, n a multiple of 16. */
static inline float dot(const float *a, const float *b, size_t n)
{
    floats sum = all(0.0f);
    for (size_t i = 0; i < n; i += LANES)
        sum = multiply_add(load(a + i), load(b + i), sum);
    return sum_of(sum);
}

#endif
