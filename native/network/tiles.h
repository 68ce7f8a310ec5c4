/* AMX's tile registers: eight of sixteen rows of 64 bytes each. They are named by numbers. As
 * instructions, since compilers differ in what they know of the registers and of the memory that the
 * intrinsics read. */
#ifndef RETRIEVAL_TILES_H
#define RETRIEVAL_TILES_H

#include <stddef.h>
#include <stdint.h>

enum { TILE_ROWS = 16, TILE_BYTES = 64 };

/* What the processor reads: in palette 1, each tile's bytes a row and rows. */
struct tile_shapes {
    uint8_t palette, start, none[14];
    uint16_t bytes[16];
    uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_shapes) == 64, "as the instruction reads it");

/* Every tile at its largest, and all of them zeros. */
static inline void begin_tiles(void)
{
    static const struct tile_shapes largest = {
        .palette = 1,
        .bytes = {64, 64, 64, 64, 64, 64, 64, 64},
        .rows = {16, 16, 16, 16, 16, 16, 16, 16},
    };
    __asm__ volatile("ldtilecfg %0" : : "m"(largest));
}

/* Nothing is kept of them, so the system need not save them either. */
static inline void end_tiles(void)
{
    __asm__ volatile("tilerelease");
}

/* Rows of 64 bytes, `stride` bytes apart. */
#define LOAD_TILE(tile, from, stride)                                                              \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile                                            \
                     :                                                                             \
                     : "r"((const void *)(from)), "r"((size_t)(stride))                            \
                     : "memory")

#define STORE_TILE(tile, to, stride)                                                               \
    __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)"                                        \
                     :                                                                             \
                     : "r"((void *)(to)), "r"((size_t)(stride))                                    \
                     : "memory")

/* sums[i][j] += the products of row i of `codes`, unsigned, by column j of `weights`, signed, of which
 * row k has bytes 4 k to 4 k + 3 of all columns. */
#define ADD_TILES(sums, codes, weights)                                                            \
    __asm__ volatile("tdpbusd %%tmm" #weights ", %%tmm" #codes ", %%tmm" #sums : :)

#endif
