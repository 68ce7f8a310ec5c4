/* Which instruction sets this processor has, among those that this build has. */
#include "kernels.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
#endif

extern const struct kernels kernels_portable;
#ifdef HAVE_AVX512
extern const struct kernels kernels_avx512;
#endif
#ifdef HAVE_AVX2
extern const struct kernels kernels_avx2;
#endif
#ifdef HAVE_NEON
extern const struct kernels kernels_neon;
#endif

const struct kernels *const *kernels_available(void)
{
    static const struct kernels *found[4];
    size_t n = 0;
#ifdef HAVE_AVX512
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
        found[n++] = &kernels_avx512;
#endif
#ifdef HAVE_AVX2
    if (__builtin_cpu_supports("avx2"))
        found[n++] = &kernels_avx2;
#endif
#ifdef HAVE_NEON
#if defined(__linux__)
    if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP)
        found[n++] = &kernels_neon;
#elif defined(__APPLE__) /* every Apple processor that runs macOS has the instructions */
    found[n++] = &kernels_neon;
#endif
#endif
    found[n++] = &kernels_portable;
    return found;
}
