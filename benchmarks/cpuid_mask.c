/* Hides instruction sets from a library whose cpuid instructions were overwritten by ud2: preloaded, it
 * answers each in the place of the processor. HIDE=amx hides AMX, HIDE=avx512 AVX-512 too, HIDE=vnni also
 * AVX-VNNI. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

/* Bits of leaf 7 by subleaf and register, EAX, EBX, ECX, EDX. */
static const unsigned amx[2][4] = {{0, 0, 0, 1u << 22 | 1u << 24 | 1u << 25}, {1u << 21, 0, 0, 0}};
static const unsigned avx512[2][4] = {
    {0, 1u << 16 | 1u << 17 | 1u << 21 | 1u << 28 | 1u << 30 | 1u << 31,
     1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14,
     1u << 8 | 1u << 23},
    {1u << 5, 0, 0, 0},
};
static const unsigned vnni[2][4] = {{0, 0, 0, 0}, {1u << 4 | 1u << 23, 0, 0, 1u << 4 | 1u << 10}};

static int hide_amx, hide_avx512, hide_vnni;

static void answer(int signal_number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *at = (const void *)registers[REG_RIP];
    if (at[0] != 0x0f || at[1] != 0x0b)
        abort();
    const unsigned leaf = (unsigned)registers[REG_RAX], subleaf = (unsigned)registers[REG_RCX];
    unsigned found[4];
    __cpuid_count(leaf, subleaf, found[0], found[1], found[2], found[3]);
    for (int i = 0; leaf == 7 && subleaf < 2 && i < 4; i++) {
        found[i] &= ~(hide_amx ? amx[subleaf][i] : 0);
        found[i] &= ~(hide_avx512 ? avx512[subleaf][i] : 0);
        found[i] &= ~(hide_vnni ? vnni[subleaf][i] : 0);
    }
    registers[REG_RAX] = found[0];
    registers[REG_RBX] = found[1];
    registers[REG_RCX] = found[2];
    registers[REG_RDX] = found[3];
    registers[REG_RIP] += 2;
    (void)signal_number;
    (void)info;
}

__attribute__((constructor)) static void prepare(void)
{
    const char *hidden = getenv("HIDE");
    hide_vnni = hidden != NULL && strcmp(hidden, "vnni") == 0;
    hide_avx512 = hide_vnni || (hidden != NULL && strcmp(hidden, "avx512") == 0);
    hide_amx = hide_avx512 || (hidden != NULL && strcmp(hidden, "amx") == 0);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGILL, &action, NULL);
}
