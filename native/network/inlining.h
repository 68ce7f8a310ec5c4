/* How loops over registers are kept in registers. */
#ifndef RETRIEVAL_INLINING_H
#define RETRIEVAL_INLINING_H

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

#endif
