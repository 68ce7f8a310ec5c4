/* AMX: an instruction multiplies 16 tokens by 16 output channels, 64 bytes of each, unsigned by
 * signed, so codes are stored with 128 added. All else is done by AVX-512. */
#include "vectors512.h"
#include "vectors.h"

#include "tiles.h"

/* Two tiles of tokens by two of channels: as many loads as products. */
typedef uint8_t code_t;
enum { ROWS = 2 * TILE_ROWS, GROUP = 2 * LANES, DEPTH = 4, STEP = TILE_BYTES, ZERO = 128 };

static ALWAYS_INLINE void put_codes(code_t *to, floats x)
{
    _mm_storeu_si128((void *)to, bytes_of(x, ZERO));
}

#include "linear.h"

/* Whole tiles, so 16 or 32 rows: those that are not there are whatever lies behind the others, and
 * nothing reads their sums. Where a row's codes end before a tile does, its weights are zeros. */
static ALWAYS_INLINE void products_of_codes(const int8_t *tile, const int32_t *starts,
                                            const code_t *codes, size_t in, const int rows,
                                            ints sums[ROWS][PARTS])
{
    enum { ROW = GROUP * DEPTH, SUMS = GROUP * sizeof(int32_t) };
    const int both = rows > TILE_ROWS;
    LOAD_TILE(0, starts, 0);
    LOAD_TILE(1, starts + LANES, 0);
    LOAD_TILE(2, starts, 0);
    LOAD_TILE(3, starts + LANES, 0);
    for (size_t k = 0; k < in; k += STEP, tile += STEP * GROUP) {
        LOAD_TILE(4, codes + k, in);
        LOAD_TILE(6, tile, ROW);
        ADD_TILES(0, 4, 6);
        LOAD_TILE(7, tile + ROW / 2, ROW);
        ADD_TILES(1, 4, 7);
        if (both) {
            LOAD_TILE(5, codes + TILE_ROWS * in + k, in);
            ADD_TILES(2, 5, 6);
            ADD_TILES(3, 5, 7);
        }
    }
    STORE_TILE(0, &sums[0][0], SUMS);
    STORE_TILE(1, &sums[0][1], SUMS);
    if (both) {
        STORE_TILE(2, &sums[TILE_ROWS][0], SUMS);
        STORE_TILE(3, &sums[TILE_ROWS][1], SUMS);
    }
}

static void multiply_group(const struct matrix *m, size_t group, const struct codes *x, size_t at,
                           size_t rows, float *out, size_t stride, int more)
{
    group_of(m, group, x, at, (int)rows, out, stride, more);
}

#include "forward.inc"

static int forward_with_tiles(const struct network *n, const struct text *t)
{
    begin_tiles();
    const int status = forward(n, t);
    end_tiles();
    return status;
}

const struct instruction_set network_amx = {.name = "amx", .pack = pack, .forward = forward_with_tiles};
