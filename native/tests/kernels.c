/* Every instruction set of this processor against portable C, on random inputs, without Python:
 * for processors that are only emulated here. Prints what was compared; exits 1 on a difference.
 *
 *   cd native
 *   CC="aarch64-linux-gnu-gcc -std=gnu11 -O3 -ffp-contract=off -static"
 *   $CC -c -march=armv8.2-a+dotprod neon.c -o /tmp/neon.o
 *   $CC -DHAVE_NEON -I. tests/kernels.c dispatch.c portable.c /tmp/neon.o -o /tmp/kernels
 *   qemu-aarch64 -cpu max /tmp/kernels
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

enum { PASSAGES = 9, TOKENS = 300, CENTROIDS = 77, QUERY = 37, LANES_USED = 48, PROBED = 7 };

extern const struct kernels kernels_portable;

static uint64_t state = 1;

static uint32_t next(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static void fill(void *to, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)to)[i] = next() % 8 ? (uint8_t)next() : next() % 2 ? 127 : 128;
}

/* The outputs of one run over all kernels, one after another. */
struct results {
    float max_sim[2 * PASSAGES], compressed[2][PASSAGES];
    int8_t decoded[2][TOKENS * 256];
    uint8_t encoded[2][TOKENS * 128];
    uint16_t nearest[TOKENS], listed[TOKENS];
    int32_t centroid_max[PASSAGES], probed[LANES_USED * PROBED];
    uint8_t table[CENTROIDS * LANES_USED];
    uint16_t sums[PASSAGES];
    int64_t top[2][TOKENS / 3];
    int32_t ward[TOKENS];
    int8_t units[TOKENS * 256];
};

static void run(const struct kernels *k, size_t d, uint64_t seed, struct results *r)
{
    static int8_t vectors[TOKENS * 256], centroids[CENTROIDS * 256], query[QUERY * 256];
    static uint8_t residuals[TOKENS * 128], classes[CENTROIDS], codes_tables[2 * DIFFERENCES];
    static uint8_t table[CENTROIDS * LANES_USED];
    static uint16_t codes[TOKENS], postings[CENTROIDS * 3];
    static float scales[TOKENS], factors[QUERY], slopes[LANES_USED], shifts[LANES_USED];
    static int32_t penalties[CENTROIDS], probes[QUERY * PROBED], scores[TOKENS];
    static uint8_t values[QUERY * PROBED], imputed[QUERY];
    static int64_t starts[CENTROIDS + 1];
    int64_t offsets[PASSAGES + 1] = {0, 0, 1, 3, 50, 120, 121, 200, 299, TOKENS};
    int64_t rows[PASSAGES] = {8, 0, 2, 2, 7, 1, 5, 4, 3}, bounds[3] = {0, 5, QUERY};
    int8_t levels[2 * 16];

    state = seed;
    memset(r, 0, sizeof *r);
    fill(vectors, sizeof vectors);
    fill(centroids, sizeof centroids);
    fill(query, sizeof query);
    fill(residuals, sizeof residuals);
    fill(table, sizeof table);
    fill(levels, sizeof levels);
    fill(imputed, sizeof imputed);
    for (size_t i = 0; i < 2 * DIFFERENCES; i++)
        codes_tables[i] = next() % 16;
    for (size_t t = 0; t < TOKENS; t++) {
        codes[t] = (uint16_t)(next() % CENTROIDS);
        scales[t] = (float)(next() % 1000) / 999.0f;
        scores[t] = (int32_t)(next() % 90) - 45;
    }
    for (size_t q = 0; q < QUERY; q++) {
        factors[q] = (float)(next() % 1000) / 333.0f - 1.0f;
        for (size_t i = 0; i < PROBED; i++) {
            probes[q * PROBED + i] = (int32_t)((next() % 10) * PROBED + i);
            values[q * PROBED + i] = (uint8_t)(250 - 30 * i);
        }
    }
    for (size_t c = 0; c < CENTROIDS; c++) {
        classes[c] = next() % 2;
        penalties[c] = (int32_t)(next() % (1 << 20));
        starts[c + 1] = starts[c] + 3;
        for (size_t i = 0; i < 3; i++)
            postings[c * 3 + i] = (uint16_t)(i * 3 + next() % 3);
    }
    for (size_t l = 0; l < LANES_USED; l++) {
        slopes[l] = (float)(next() % 100) / 1e5f;
        shifts[l] = (float)(next() % 256);
    }

    struct ragged passages = {offsets, PASSAGES, TOKENS, rows, 0, PASSAGES};
    struct queries queries = {query, factors, QUERY, d, bounds, 2};
    k->max_sim(vectors, scales, &passages, &queries, r->max_sim, PASSAGES);
    k->nearest(vectors, centroids, penalties, CENTROIDS, d, r->nearest, 0, TOKENS);
    int64_t parts[5] = {0, 2, 2, 40, TOKENS};
    struct grouped grouped = {vectors, parts, codes, centroids, penalties, TOKENS / 4, CENTROIDS, d};
    k->nearest_listed(&grouped, r->listed, 0, 4);
    k->centroid_table(centroids, query, QUERY, d, slopes, shifts, r->table, 0, CENTROIDS);
    k->centroid_max(table, CENTROIDS, LANES_USED, codes, &passages, r->centroid_max);
    k->probe(table, CENTROIDS, LANES_USED, r->probed, PROBED, 0, LANES_USED);
    for (unsigned i = 0; i < 2; i++) {
        struct compressed c = {codes,  residuals, centroids, classes,
                               levels, CENTROIDS, d,         i ? 2 : 4};
        k->max_sim_compressed(&c, &passages, &queries, r->compressed[i]);
        k->decode(&c, r->decoded[i], 0, TOKENS);
        k->encode(vectors, codes, centroids, CENTROIDS, classes, codes_tables, c.bits, d,
                  r->encoded[i], 0, TOKENS);
    }
    struct lists lists = {postings, CENTROIDS * 3, starts,  CENTROIDS, probes,
                          values,   imputed,       QUERY, PROBED};
    k->list_sums(&lists, r->sums, PASSAGES);
    k->top_i32(scores, TOKENS, r->top[0], TOKENS / 3);
    k->top_u16(codes, TOKENS, r->top[1], TOKENS / 3);
    int64_t blocks[4] = {0, 1, 100, TOKENS}, groups[3] = {1, 9, TOKENS / 4};
    float limits[3] = {INFINITY, INFINITY, 90000};
    k->ward(vectors, TOKENS, d, blocks, groups, limits, r->ward, 0, 3);
    static float mean[256], rotation[256 * 256];
    for (size_t i = 0; i < d; i++)
        mean[i] = (float)(next() % 1000) / 500.0f - 1.0f;
    for (size_t i = 0; i < d * d; i++)
        rotation[i] = (float)(next() % 1000) / 5000.0f - 0.1f;
    k->units(vectors, scales, mean, rotation, 0.3f, d, r->units, 0, TOKENS);
}

int main(void)
{
    static struct results expected, found;
    int different = 0;
    for (const struct kernels *const *k = kernels_available(); *k != NULL; k++) {
        int cases = 0, wrong = 0;
        for (size_t d = 8; d <= 256; d += 8)
            for (uint64_t seed = 1; seed <= 8; seed++, cases++) {
                run(&kernels_portable, d, seed * 1000 + d, &expected);
                run(*k, d, seed * 1000 + d, &found);
                wrong += memcmp(&expected, &found, sizeof found) != 0;
            }
        printf("%s: %d of %d cases differ\n", (*k)->name, wrong, cases);
        different += wrong;
    }
    return different > 0;
}
