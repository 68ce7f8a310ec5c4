/* Steps whose sums stay in registers: there the number of rows is a constant, six or what is left. */
#ifndef RETRIEVAL_REGISTERS_H
#define RETRIEVAL_REGISTERS_H

enum { ROWS = TALL, GROUP = WIDE * LANES, STEP = LANES };

#include "linear.h"

static void multiply_group(const struct matrix *m, size_t group, const struct codes *x, size_t at,
                           size_t rows, float *out, size_t stride, int more)
{
    switch (rows) {
    case 1: group_of(m, group, x, at, 1, out, stride, more); break;
    case 2: group_of(m, group, x, at, 2, out, stride, more); break;
    case 3: group_of(m, group, x, at, 3, out, stride, more); break;
    case 4: group_of(m, group, x, at, 4, out, stride, more); break;
    case 5: group_of(m, group, x, at, 5, out, stride, more); break;
    default: group_of(m, group, x, at, ROWS, out, stride, more);
    }
}

#endif
