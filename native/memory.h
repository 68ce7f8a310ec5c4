/* Allocation, prefetch, the bounds of a passage and of its codes, for every instruction set. */
#ifndef RETRIEVAL_MEMORY_H
#define RETRIEVAL_MEMORY_H

#include <stdlib.h>
#include <string.h>

#include "kernels.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Memory aligned to a cache line, with at least one more behind it, or NULL; freed by free(). */
static inline void *line_alloc(size_t bytes)
{
    return aligned_alloc(64, (bytes + 127) / 64 * 64);
}

/* Ask for the cache lines of an array. The address need not be readable. */
static inline void prefetch(const void *start, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 64)
        __builtin_prefetch((const char *)start + at);
}

/* The tokens of the passage rows[place], or KERNEL_RANGE if they are not all there. */
static inline int passage_span(const struct ragged *r, size_t place, size_t *start, size_t *length)
{
    int64_t row = r->rows[place];
    if (row < 0 || (uint64_t)row >= r->passages)
        return KERNEL_RANGE;
    int64_t from = r->offsets[row], to = r->offsets[row + 1];
    if (from < 0 || to < from || (uint64_t)to > r->tokens)
        return KERNEL_RANGE;
    *start = (size_t)from;
    *length = (size_t)(to - from);
    return KERNEL_OK;
}

/* Whether each of these codes is below `count`, as all are below 65,536. The loop has no way out, so
 * that it is done by vectors. */
static inline int all_below(const uint16_t *codes, size_t n, size_t count)
{
    uint16_t most = 0;
    if (count > UINT16_MAX)
        return 1;
    for (size_t i = 0; i < n; i++)
        most = codes[i] > most ? codes[i] : most;
    return n == 0 || most < count;
}

#endif
