/* Which instruction sets this processor has, among those that this build has. */
#include "kernels.h"
#include "processor.h"

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
    if (has_avx512_vnni())
        found[n++] = &kernels_avx512;
#endif
#ifdef HAVE_AVX2
    if (has_avx2())
        found[n++] = &kernels_avx2;
#endif
#ifdef HAVE_NEON
    if (has_dot_product())
        found[n++] = &kernels_neon;
#endif
    found[n++] = &kernels_portable;
    return found;
}
