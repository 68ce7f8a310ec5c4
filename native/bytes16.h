/* Sixteen bytes at a time, in whatever the compiler has for them. */
#ifndef RETRIEVAL_BYTES16_H
#define RETRIEVAL_BYTES16_H

#include <stdint.h>
#include <string.h>

typedef uint8_t bytes16 __attribute__((vector_size(16)));

static inline bytes16 load16(const void *from)
{
    bytes16 result;
    memcpy(&result, from, sizeof result);
    return result;
}

static inline bytes16 max16(bytes16 a, bytes16 b)
{
    bytes16 greater = (bytes16)(a > b);
    return (a & greater) | (b & ~greater);
}

#endif
