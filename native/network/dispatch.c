/* Which instruction sets this processor has, among those that this build has. */
#include "network.h"

#include "../processor.h"

#ifdef HAVE_AMX
extern const struct instruction_set network_amx;
#endif
#ifdef HAVE_AVX512
extern const struct instruction_set network_avx512;
#endif
#ifdef HAVE_AVXVNNI
extern const struct instruction_set network_avxvnni;
#endif
#ifdef HAVE_AVX2
extern const struct instruction_set network_avx2;
#endif
#ifdef HAVE_I8MM
extern const struct instruction_set network_i8mm;
#endif
#ifdef HAVE_NEON
extern const struct instruction_set network_neon;
#endif

const struct instruction_set *const *instruction_sets(void)
{
    static const struct instruction_set *found[5];
    size_t n = 0;
#ifdef HAVE_AMX
    if (has_amx_int8())
        found[n++] = &network_amx;
#endif
#ifdef HAVE_AVX512
    if (has_avx512_vnni())
        found[n++] = &network_avx512;
#endif
#ifdef HAVE_AVXVNNI
    if (has_avx_vnni())
        found[n++] = &network_avxvnni;
#endif
#ifdef HAVE_AVX2
    if (has_avx2())
        found[n++] = &network_avx2;
#endif
#ifdef HAVE_I8MM
    if (has_matrix_product())
        found[n++] = &network_i8mm;
#endif
#ifdef HAVE_NEON
    if (has_dot_product())
        found[n++] = &network_neon;
#endif
    found[n] = NULL;
    return found;
}
