/* AMX for processors without it: a program with this in the place of network/dispatch.c has the sets
 * `amx` and `avx512`, and what the processor does not know of the former is done here. An instruction
 * that does not exist raises SIGILL; the handler decodes it and does what Intel's manual (volume 2, and
 * volume 1, chapter "Programming with Intel AMX") says. So it is the compiled code itself that is
 * tested. What would fault on a processor ends the program, and so does one that ends with tiles
 * configured.
 *
 *   cd native
 *   CC="gcc -std=gnu11 -O3 -ffp-contract=off -I."
 *   AVX512="-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni"
 *   $CC $AVX512 -mamx-tile -mamx-int8 -c network/amx.c -o /tmp/amx.o
 *   $CC $AVX512 -c network/avx512.c -o /tmp/avx512.o
 *   $CC tests/network.c tests/tiles.c /tmp/amx.o /tmp/avx512.o -lm -o /tmp/network && /tmp/network
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "network/network.h"

extern const struct instruction_set network_amx, network_avx512;

const struct instruction_set *const *instruction_sets(void)
{
    static const struct instruction_set *const both[] = {&network_amx, &network_avx512, NULL};
    return both;
}

/* Palette 1. */
enum { TILES = 8, MOST_ROWS = 16, MOST_BYTES = 64, CONFIGURATION = 64 };

struct tile {
    unsigned rows, bytes;
    uint8_t values[MOST_ROWS][MOST_BYTES];
};

/* A thread's; one that is not configured has tiles of no rows. */
static __thread struct {
    int configured;
    struct tile tiles[TILES];
} state;

static void require(int holds, const char *rule)
{
    if (holds)
        return;
    fprintf(stderr, "tiles: %s\n", rule);
    abort();
}

static int all_zero(const uint8_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (from[i] != 0)
            return 0;
    return 1;
}

static void configure(const uint8_t from[CONFIGURATION])
{
    memset(&state, 0, sizeof state);
    require(from[0] <= 1, "ldtilecfg: an unknown palette");
    require(all_zero(from + 1, 15), "ldtilecfg: a start row or reserved bytes");
    if (from[0] == 0)
        return;
    require(all_zero(from + 32, 16) && all_zero(from + 56, 8), "ldtilecfg: more than eight tiles");
    state.configured = 1;
    for (int i = 0; i < TILES; i++) {
        struct tile *tile = &state.tiles[i];
        tile->bytes = from[16 + 2 * i] | (unsigned)from[17 + 2 * i] << 8;
        tile->rows = from[48 + i];
        require(tile->bytes <= MOST_BYTES && tile->rows <= MOST_ROWS, "ldtilecfg: a tile too large");
        require((tile->bytes == 0) == (tile->rows == 0), "ldtilecfg: a tile with half a size");
    }
}

static struct tile *tile_of(unsigned number)
{
    require(state.configured, "a tile before ldtilecfg");
    require(number < TILES && state.tiles[number].rows > 0, "a tile that is not configured");
    return &state.tiles[number];
}

static void load(unsigned to, const uint8_t *from, ptrdiff_t stride)
{
    struct tile *tile = tile_of(to);
    memset(tile->values, 0, sizeof tile->values);
    for (unsigned i = 0; i < tile->rows; i++)
        memcpy(tile->values[i], from + (ptrdiff_t)i * stride, tile->bytes);
}

static void store(unsigned from, uint8_t *to, ptrdiff_t stride)
{
    const struct tile *tile = tile_of(from);
    for (unsigned i = 0; i < tile->rows; i++)
        memcpy(to + (ptrdiff_t)i * stride, tile->values[i], tile->bytes);
}

/* Sums of four products each, of which none saturates. */
static void add_products(unsigned to, unsigned left, unsigned right)
{
    require(to != left && to != right && left != right, "tdpbusd: a tile twice");
    struct tile *sums = tile_of(to), *a = tile_of(left), *b = tile_of(right);
    require(sums->bytes % 4 == 0 && a->bytes % 4 == 0 && b->bytes % 4 == 0, "tdpbusd: parts of sums");
    require(sums->rows == a->rows && sums->bytes == b->bytes && a->bytes / 4 == b->rows,
            "tdpbusd: sizes that do not fit");
    for (unsigned m = 0; m < sums->rows; m++)
        for (unsigned n = 0; n < sums->bytes; n += 4) {
            uint32_t sum;
            memcpy(&sum, &sums->values[m][n], 4);
            for (unsigned k = 0; k < a->bytes; k++) {
                const int product = a->values[m][k] * (int8_t)b->values[k / 4][n + k % 4];
                sum += (uint32_t)product;
            }
            memcpy(&sums->values[m][n], &sum, 4);
        }
}

static void clear(unsigned to)
{
    memset(tile_of(to)->values, 0, MOST_ROWS * MOST_BYTES);
}

/* The registers by the numbers that instructions have for them. */
static const int numbers[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};

/* An instruction as VEX encodes it. */
struct instruction {
    const uint8_t *at; /* what follows the byte ModRM */
    unsigned prefix, code, mod, reg, rm, other;
    unsigned index_high, base_high;
};

static struct instruction decode(const uint8_t *at)
{
    require(at[0] == 0xc4 && (at[1] & 0x1f) == 2 && (at[2] & 0x84) == 0, "an unknown instruction");
    return (struct instruction){
        .at = at + 5, .prefix = at[2] & 3, .code = at[3],
        .mod = at[4] >> 6, .reg = (at[4] >> 3 & 7) | (~at[1] >> 7 & 1) << 3, .rm = at[4] & 7,
        .other = ~at[2] >> 3 & 15,
        .index_high = (~at[1] >> 6 & 1) << 3, .base_high = (~at[1] >> 5 & 1) << 3,
    };
}

/* The memory that an instruction names, and what it adds to that from row to row. */
static uint8_t *address_of(struct instruction *i, const greg_t *registers, ptrdiff_t *stride)
{
    unsigned base = i->rm;
    greg_t address = 0, step = 0;
    if (i->rm == 4) {
        const unsigned sib = *i->at++, index = (sib >> 3 & 7) | i->index_high;
        base = sib & 7;
        if (index != 4)
            step = registers[numbers[index]] * (1 << (sib >> 6));
    }
    int8_t near = 0;
    int32_t far = 0;
    const int bare = i->mod == 0 && base == 5; /* a distance alone, or from the next instruction */
    if (i->mod == 1)
        memcpy(&near, i->at, 1), i->at += 1;
    if (i->mod == 2 || bare)
        memcpy(&far, i->at, 4), i->at += 4;
    if (!bare)
        address = registers[numbers[base | i->base_high]];
    else if (i->rm != 4)
        address = (greg_t)(uintptr_t)i->at;
    address += near + far;
    if (stride != NULL)
        *stride = step;
    else
        address += step;
    return (uint8_t *)(uintptr_t)address;
}

static void answer(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    struct instruction i = decode((const uint8_t *)(uintptr_t)registers[REG_RIP]);
    enum { NONE = 0, P66 = 1, PF3 = 2, PF2 = 3, IN_REGISTER = 3 };
    ptrdiff_t stride = 0;
    if (i.code == 0x49 && i.mod != IN_REGISTER && i.prefix == NONE && i.reg == 0)
        configure(address_of(&i, registers, NULL));
    else if (i.code == 0x49 && i.mod == IN_REGISTER && i.prefix == NONE && i.reg + i.rm == 0)
        memset(&state, 0, sizeof state);
    else if (i.code == 0x49 && i.mod == IN_REGISTER && i.prefix == PF2 && i.rm == 0)
        clear(i.reg);
    else if (i.code == 0x4b && i.mod != IN_REGISTER && i.rm == 4 && i.prefix != NONE) {
        uint8_t *memory = address_of(&i, registers, &stride);
        if (i.prefix == PF3)
            store(i.reg, memory, stride);
        else
            load(i.reg, memory, stride);
    } else if (i.code == 0x5e && i.mod == IN_REGISTER && i.prefix == P66)
        add_products(i.reg, i.rm, i.other);
    else
        require(0, "an unknown instruction");
    registers[REG_RIP] = (greg_t)(uintptr_t)i.at;
}

__attribute__((constructor)) static void prepare(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &action, NULL);
}

__attribute__((destructor)) static void finish(void)
{
    require(!state.configured, "the program ends without tilerelease");
}
