/* The network on every instruction set of this processor, on random weights, without Python: for
 * processors that are only emulated here. Prints a checksum of all vectors for each instruction set;
 * it is the same on every processor. Nothing is freed, as it ends soon. Exits 1 where there is no
 * instruction set, two sums differ or a run failed.
 *
 *   cd native
 *   CC="aarch64-linux-gnu-gcc -std=gnu11 -O3 -ffp-contract=off -static"
 *   $CC -c -march=armv8.2-a+dotprod network/neon.c -o /tmp/neon.o
 *   $CC -DHAVE_NEON -I. tests/network.c network/dispatch.c /tmp/neon.o -lm -o /tmp/network
 *   qemu-aarch64 -cpu max /tmp/network
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network/network.h"

enum { VOCABULARY = 40, LAYERS = 2, LONGEST = 130, LARGEST = 1 << 19 };

static uint64_t state;

static uint32_t next(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static float *floats_between(float low, float high, size_t count)
{
    float *made = aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64);
    for (size_t i = 0; i < count; i++)
        made[i] = low + (high - low) * (float)(next() % 4096) / 4096.0f;
    return made;
}

/* Weights from -127 to 127; those of `extreme` cases are only the ends, where sums of two products no
 * longer fit 16 bits. */
static void fill(int8_t *to, size_t count, int extreme)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (int8_t)(extreme ? (next() % 2 ? 127 : -127) : (int)(next() % 255) - 127);
}

static void make(const struct instruction_set *set, struct matrix *m, size_t out, size_t in,
                 int extreme)
{
    static int8_t rows[LARGEST];
    float *scales = floats_between(0.0005f, 0.002f, out);
    fill(rows, out * in, extreme);
    set->pack(m, rows, scales, out, in);
    free(scales);
}

/* One shape. What the token head's matrices read is no multiple of 64 in most, and less in some. */
struct shape {
    size_t hidden, heads, inner, window, dense, dense_window, tokens, up, near, reach;
    int extreme;
};

static const struct shape shapes[] = {
    {64, 2, 64, 5, 24, 7, 24, 48, 16, 3, 0},   {64, 2, 64, 16, 24, 0, 24, 48, 0, 0, 1},
    {128, 1, 192, 13, 100, 64, 130, 208, 0, 0, 0}, {192, 2, 64, 1, 0, 0, 64, 64, 48, 0, 0},
    {384, 6, 128, 64, 48, 16, 48, 96, 0, 0, 0},    {64, 2, 64, 3, 0, 0, 16, 16, 32, 1, 1},
};

static void build(const struct instruction_set *set, const struct shape *shape, struct network *n,
                  int8_t *embeddings)
{
    static struct layer layers[LAYERS];
    const size_t hidden = shape->hidden, inputs = hidden + shape->near * (2 * shape->reach + 1);
    *n = (struct network){
        .vocabulary = VOCABULARY, .hidden = hidden, .heads = shape->heads, .inner = shape->inner,
        .window = shape->window, .layer_count = LAYERS, .epsilon = 1e-5f,
        .dense_dim = shape->dense, .dense_window = shape->dense_window,
        .token_dim = shape->tokens, .reach = shape->reach, .layers = layers,
        .embeddings = embeddings,
    };
    fill(embeddings, VOCABULARY * hidden, shape->extreme);
    n->embedding_scales = floats_between(0.005f, 0.02f, VOCABULARY);
    n->embedding_norm = floats_between(0.5f, 1.5f, hidden);
    for (size_t i = 0; i < LAYERS; i++) {
        layers[i] = (struct layer){.local = i % 2 == 0};
        if (i > 0)
            layers[i].attn_norm = floats_between(0.5f, 1.5f, hidden);
        make(set, &layers[i].qkv, 3 * hidden, hidden, shape->extreme);
        make(set, &layers[i].attn_out, hidden, hidden, shape->extreme);
        layers[i].mlp_norm = floats_between(0.5f, 1.5f, hidden);
        make(set, &layers[i].gate_value, 2 * shape->inner, hidden, shape->extreme);
        make(set, &layers[i].mlp_out, hidden, shape->inner, shape->extreme);
    }
    n->final_norm = floats_between(0.5f, 1.5f, hidden);
    n->dense = floats_between(-1.0f, 1.0f, shape->dense * hidden + 1);
    make(set, &n->skip, shape->tokens, inputs, shape->extreme);
    make(set, &n->up, shape->up, inputs, shape->extreme);
    make(set, &n->down, shape->tokens, shape->up, shape->extreme);
    if (shape->near > 0)
        make(set, &n->near, shape->near, hidden, shape->extreme);
}

/* FNV-1a, 64 bits; ends the program at a value that is not finite. */
static void add_floats(uint64_t *sum, const float *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(from[i]))
            exit(2);
    for (size_t i = 0; i < count * sizeof(float); i++)
        *sum = (*sum ^ ((const uint8_t *)from)[i]) * 1099511628211u;
}

/* All vectors of texts of several lengths; 0 if a run failed. */
static uint64_t checksum(const struct instruction_set *set)
{
    static int8_t embeddings[VOCABULARY * 384];
    static float dense[128], windows[LONGEST * 128], tokens[LONGEST * 130], hidden[LONGEST * 384];
    /* both sides of every step's and block's end */
    static const size_t lengths[] = {1, 5, 6, 13, 15, 16, 17, 31, 32, 33, 96, 97, 100, LONGEST};
    uint64_t sum = 14695981039346656037u;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const struct shape *shape = &shapes[s];
        struct network n;
        state = s + 1;
        build(set, shape, &n, embeddings);
        const size_t angles = LONGEST * MAX_HEAD / 2;
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            int64_t ids[LONGEST];
            for (size_t t = 0; t < LONGEST; t++)
                ids[t] = next() % VOCABULARY;
            struct text text = {
                .ids = ids, .length = lengths[i], .dense = shape->dense ? dense : NULL,
                .windows = windows, .tokens = tokens, .hidden = hidden,
                .cosines = {floats_between(-1, 1, angles), floats_between(-1, 1, angles)},
                .sines = {floats_between(-1, 1, angles), floats_between(-1, 1, angles)},
            };
            if (set->forward(&n, &text) != NETWORK_OK)
                return 0;
            ids[text.length - 1] = VOCABULARY;
            if (set->forward(&n, &text) != NETWORK_RANGE)
                return 0;
            const size_t count =
                shape->dense_window > 0 ? window_count(text.length, shape->dense_window) : 0;
            add_floats(&sum, dense, shape->dense);
            add_floats(&sum, windows, count * shape->dense);
            add_floats(&sum, tokens, text.length * shape->tokens);
            add_floats(&sum, hidden, text.length * shape->hidden);
        }
    }
    return sum;
}

int main(void)
{
    uint64_t first = 0;
    int same = 1;
    for (const struct instruction_set *const *set = instruction_sets(); *set != NULL; set++) {
        const uint64_t found = checksum(*set);
        printf("%s %016llx\n", (*set)->name, (unsigned long long)found);
        if (first == 0)
            first = found;
        same &= found == first;
    }
    return !same || first == 0;
}
