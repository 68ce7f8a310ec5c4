/* What this processor, and the system on it, can run. */
#ifndef RETRIEVAL_PROCESSOR_H
#define RETRIEVAL_PROCESSOR_H

#if defined(__x86_64__)
#include <cpuid.h>

static inline int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* AVX2 with products of bytes. Compilers learned its name late, so the bit itself is read: leaf 7,
 * subleaf 1, bit 4 of EAX. */
static inline int has_avx_vnni(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1) != 0;
}

static inline int has_avx512_vnni(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}

#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

/* NEON's products of bytes: bit 20 of the first word of capabilities. */
static inline int has_dot_product(void)
{
    return (getauxval(AT_HWCAP) >> 20 & 1) != 0;
}

/* Products of matrices of bytes: bit 13 of the second word. */
static inline int has_matrix_product(void)
{
    return has_dot_product() && (getauxval(AT_HWCAP2) >> 13 & 1) != 0;
}

#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>

/* Every Apple processor that runs macOS has them. */
static inline int has_dot_product(void)
{
    return 1;
}

/* From the M2 on. */
static inline int has_matrix_product(void)
{
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname("hw.optional.arm.FEAT_I8MM", &value, &size, (void *)0, 0) == 0 && value;
}

#elif defined(__aarch64__)
static inline int has_dot_product(void)
{
    return 0;
}

static inline int has_matrix_product(void)
{
    return 0;
}
#endif

#endif
