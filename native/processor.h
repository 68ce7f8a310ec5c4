/* What this processor, and the system on it, can run. */
#ifndef RETRIEVAL_PROCESSOR_H
#define RETRIEVAL_PROCESSOR_H

#if defined(__x86_64__)
#include <cpuid.h>

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

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

/* Tiles and their products of bytes, beside AVX-512: leaf 7, bits 24 and 25 of EDX; the system keeps
 * both parts of their state, bits 17 and 18 of XCR0; and it lets this process use the second, for
 * which Linux has to be asked (Documentation/arch/x86/xstate.rst). What it gives, all threads have until
 * exec. Other systems are not asked. */
static inline int has_amx_int8(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    unsigned a = 0, b = 0, c = 0, d = 0, enabled = 0, high = 0;
    if (!has_avx512_vnni() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d >> 24 & 3) != 3)
        return 0;
    __asm__("xgetbv" : "=a"(enabled), "=d"(high) : "c"(0)); /* what has AVX has this */
    return (enabled >> 17 & 3) == 3 && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return 0;
#endif
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
