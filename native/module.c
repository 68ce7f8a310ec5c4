/* The Python module: arrays in by the buffer protocol, shapes checked, the interpreter's lock
 * released around every kernel. Only the limited API of Python 3.11 is used. */
#include <Python.h>

#include "kernels.h"

enum { MAX_ARGUMENTS = 12 };

static const struct kernels *active;

/* The arguments of a call, arrays and numbers apart. */
struct call {
    const char *name;
    Py_buffer arrays[MAX_ARGUMENTS];
    int held;
    size_t numbers[3];
};

static void release(struct call *call)
{
    while (call->held > 0)
        PyBuffer_Release(&call->arrays[--call->held]);
}

static int refuse(struct call *call, const char *reason)
{
    release(call);
    PyErr_Format(PyExc_ValueError, "%s: %s", call->name, reason);
    return 0;
}

static int holds(const Py_buffer *array, char kind)
{
    const char *format = array->format != NULL ? array->format : "B";
    if (kind == 'q' && format[0] == 'l' && array->itemsize == 8)
        return format[1] == '\0';
    return format[0] == kind && format[1] == '\0';
}

/* Take the arguments that `spec` lists: for each array its format (of the struct module), its
 * number of dimensions, and ! where it is written; or n for a number that is not negative.
 * Returns 0 with an exception set, and nothing held, if one does not fit. */
static int take(struct call *call, const char *spec, PyObject *const *arguments, Py_ssize_t count)
{
    Py_ssize_t at = 0;
    int numbers = 0;
    for (; *spec != '\0'; at++) {
        if (at >= count)
            return refuse(call, "too few arguments");
        if (*spec == 'n') {
            call->numbers[numbers] = PyLong_AsSize_t(arguments[at]);
            if (call->numbers[numbers++] == (size_t)-1 && PyErr_Occurred()) {
                release(call);
                return 0;
            }
            spec++;
            continue;
        }
        char kind = spec[0];
        int dimensions = spec[1] - '0', written = spec[2] == '!';
        Py_buffer *array = &call->arrays[call->held];
        int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (written ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(arguments[at], array, flags) != 0) {
            release(call);
            return 0;
        }
        call->held++;
        if (!holds(array, kind) || array->ndim != dimensions) {
            PyErr_Format(PyExc_ValueError,
                         "%s: argument %zd has format %s and %d dimensions, not %c and %d",
                         call->name, at + 1, array->format != NULL ? array->format : "B",
                         array->ndim, kind, dimensions);
            release(call);
            return 0;
        }
        if ((uintptr_t)array->buf % (size_t)array->itemsize != 0)
            return refuse(call, "an array is not aligned to its items");
        spec += written ? 3 : 2;
    }
    return at == count ? 1 : refuse(call, "too many arguments");
}

/* None, or the exception for what the kernel returned. */
static PyObject *finish(struct call *call, int status)
{
    release(call);
    if (status == KERNEL_MEMORY)
        return PyErr_NoMemory();
    if (status == KERNEL_RANGE) {
        PyErr_Format(PyExc_ValueError, "%s: a position lies outside its array", call->name);
        return NULL;
    }
    Py_RETURN_NONE;
}

#define LENGTH(i) ((size_t)call.arrays[i].shape[0])
#define WIDTH(i) ((size_t)call.arrays[i].shape[1])
#define DATA(i) (call.arrays[i].buf)
#define TAKE(function, spec)                                                                  \
    struct call call = {.name = function};                                                    \
    (void)self;                                                                               \
    if (!take(&call, spec, arguments, count))                                                 \
        return NULL
#define REQUIRE(condition, reason)                                                            \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            refuse(&call, reason);                                                            \
            return NULL;                                                                      \
        }                                                                                     \
    } while (0)
#define REQUIRE_PART(at, size)                                                                \
    REQUIRE(call.numbers[at] <= call.numbers[(at) + 1] && call.numbers[(at) + 1] <= (size),   \
            "the part is not inside the result")
#define RUN(expression)                                                                       \
    do {                                                                                      \
        int status_;                                                                          \
        const struct kernels *kernels = active;                                               \
        Py_BEGIN_ALLOW_THREADS                                                                \
        status_ = kernels->expression;                                                        \
        Py_END_ALLOW_THREADS                                                                  \
        return finish(&call, status_);                                                        \
    } while (0)

static const char SHAPES[] = "the shapes of the arrays do not fit together";
static const char DIMENSION[] = "the dimension is not a multiple of 8 from 8 to 1024";

static int usable(size_t d)
{
    return d > 0 && d % 8 == 0 && d <= MAX_DIMENSION;
}

static int rising(const int64_t *bounds, size_t count, size_t limit)
{
    for (size_t i = 1; i < count; i++)
        if (bounds[i] < bounds[i - 1])
            return 0;
    return count > 0 && bounds[0] >= 0 && (uint64_t)bounds[count - 1] <= limit;
}

/* The bits of a residual code from the number of levels; 0 for another number than 4 or 16. */
static unsigned bits_of(size_t levels)
{
    return levels == 16 ? 4 : levels == 4 ? 2 : 0;
}

static int below(const uint8_t *numbers, size_t count, size_t limit)
{
    for (size_t i = 0; i < count; i++)
        if (numbers[i] >= limit)
            return 0;
    return 1;
}

static PyObject *max_sim(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    enum { CODES, SCALES, OFFSETS, ROWS, QUERY, FACTORS, BOUNDS, OUT };
    TAKE("max_sim", "b2f1q1q1b2f1q1f2!nn");
    REQUIRE(usable(WIDTH(CODES)), DIMENSION);
    REQUIRE(LENGTH(SCALES) == LENGTH(CODES) && LENGTH(OFFSETS) > 0 &&
                WIDTH(QUERY) == WIDTH(CODES) && LENGTH(FACTORS) == LENGTH(QUERY) &&
                LENGTH(OUT) + 1 == LENGTH(BOUNDS) && WIDTH(OUT) == LENGTH(ROWS),
            SHAPES);
    REQUIRE(rising(DATA(BOUNDS), LENGTH(BOUNDS), LENGTH(QUERY)),
            "the bounds of the queries are not rising or not inside");
    REQUIRE_PART(0, LENGTH(ROWS));
    struct ragged passages = {DATA(OFFSETS), LENGTH(OFFSETS) - 1, LENGTH(CODES),
                              DATA(ROWS),    call.numbers[0],     call.numbers[1]};
    struct queries queries = {DATA(QUERY),  DATA(FACTORS), LENGTH(QUERY), WIDTH(QUERY),
                              DATA(BOUNDS), LENGTH(OUT)};
    RUN(max_sim(DATA(CODES), DATA(SCALES), &passages, &queries, DATA(OUT), WIDTH(OUT)));
}

static PyObject *max_sim_compressed(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    enum { CODES, RESIDUALS, CENTROIDS, CLASSES, LEVELS, OFFSETS, ROWS, QUERY, FACTORS, OUT };
    TAKE("max_sim_compressed", "H1B2b2B1b2q1q1b2f1f1!nn");
    size_t d = WIDTH(CENTROIDS);
    unsigned bits = bits_of(WIDTH(LEVELS));
    REQUIRE(usable(d), DIMENSION);
    REQUIRE(bits != 0 && LENGTH(CLASSES) == LENGTH(CENTROIDS) &&
                LENGTH(RESIDUALS) == LENGTH(CODES) && WIDTH(RESIDUALS) == d * bits / 8 &&
                LENGTH(OFFSETS) > 0 && WIDTH(QUERY) == d && LENGTH(FACTORS) == LENGTH(QUERY) &&
                LENGTH(OUT) == LENGTH(ROWS),
            SHAPES);
    REQUIRE(below(DATA(CLASSES), LENGTH(CLASSES), LENGTH(LEVELS)), "a class has no row");
    REQUIRE_PART(0, LENGTH(ROWS));
    struct compressed tokens = {DATA(CODES),   DATA(RESIDUALS), DATA(CENTROIDS),
                                DATA(CLASSES), DATA(LEVELS),    LENGTH(CENTROIDS),
                                d,             bits};
    struct ragged passages = {DATA(OFFSETS), LENGTH(OFFSETS) - 1, LENGTH(CODES),
                              DATA(ROWS),    call.numbers[0],     call.numbers[1]};
    struct queries query = {DATA(QUERY), DATA(FACTORS), LENGTH(QUERY), d, NULL, 1};
    RUN(max_sim_compressed(&tokens, &passages, &query, DATA(OUT)));
}

static PyObject *decode(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    enum { CODES, RESIDUALS, CENTROIDS, CLASSES, LEVELS, OUT };
    TAKE("decode", "H1B2b2B1b2b2!nn");
    size_t d = WIDTH(CENTROIDS);
    unsigned bits = bits_of(WIDTH(LEVELS));
    REQUIRE(usable(d), DIMENSION);
    REQUIRE(bits != 0 && LENGTH(CLASSES) == LENGTH(CENTROIDS) &&
                LENGTH(RESIDUALS) == LENGTH(CODES) && WIDTH(RESIDUALS) == d * bits / 8 &&
                LENGTH(OUT) == LENGTH(CODES) && WIDTH(OUT) == d,
            SHAPES);
    REQUIRE(below(DATA(CLASSES), LENGTH(CLASSES), LENGTH(LEVELS)), "a class has no row");
    REQUIRE_PART(0, LENGTH(OUT));
    struct compressed tokens = {DATA(CODES),   DATA(RESIDUALS), DATA(CENTROIDS),
                                DATA(CLASSES), DATA(LEVELS),    LENGTH(CENTROIDS),
                                d,             bits};
    RUN(decode(&tokens, DATA(OUT), call.numbers[0], call.numbers[1]));
}

static PyObject *encode(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    enum { VECTORS, CODES, CENTROIDS, CLASSES, TABLES, OUT };
    TAKE("encode", "b2H1b2B1B2nB2!nn");
    size_t d = WIDTH(VECTORS);
    unsigned bits = (unsigned)call.numbers[0];
    REQUIRE(usable(d), DIMENSION);
    REQUIRE((call.numbers[0] == 2 || call.numbers[0] == 4) &&
                LENGTH(CODES) == LENGTH(VECTORS) && WIDTH(CENTROIDS) == d &&
                LENGTH(CLASSES) == LENGTH(CENTROIDS) &&
                WIDTH(TABLES) == DIFFERENCES && LENGTH(OUT) == LENGTH(VECTORS) &&
                WIDTH(OUT) == d * bits / 8,
            SHAPES);
    REQUIRE(below(DATA(CLASSES), LENGTH(CLASSES), LENGTH(TABLES)), "a class has no row");
    REQUIRE_PART(1, LENGTH(OUT));
    RUN(encode(DATA(VECTORS), DATA(CODES), DATA(CENTROIDS), LENGTH(CENTROIDS), DATA(CLASSES),
               DATA(TABLES), bits, d, DATA(OUT), call.numbers[1], call.numbers[2]));
}

static PyObject *nearest(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    enum { VECTORS, CENTROIDS, PENALTIES, OUT };
    TAKE("nearest", "b2b2i1H1!nn");
    REQUIRE(usable(WIDTH(VECTORS)), DIMENSION);
    REQUIRE(WIDTH(CENTROIDS) == WIDTH(VECTORS) && LENGTH(PENALTIES) == LENGTH(CENTROIDS) &&
                LENGTH(CENTROIDS) >= 1 && LENGTH(CENTROIDS) <= 65536 &&
                LENGTH(OUT) == LENGTH(VECTORS),
            SHAPES);
    REQUIRE_PART(0, LENGTH(OUT));
    RUN(nearest(DATA(VECTORS), DATA(CENTROIDS), DATA(PENALTIES), LENGTH(CENTROIDS),
                WIDTH(VECTORS), DATA(OUT), call.numbers[0], call.numbers[1]));
}

static PyObject *nearest_listed(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    enum { VECTORS, BOUNDS, NEAR, CENTROIDS, PENALTIES, OUT };
    TAKE("nearest_listed", "b2q1H2b2i1H1!nn");
    REQUIRE(usable(WIDTH(VECTORS)), DIMENSION);
    REQUIRE(WIDTH(CENTROIDS) == WIDTH(VECTORS) && LENGTH(PENALTIES) == LENGTH(CENTROIDS) &&
                LENGTH(CENTROIDS) >= 1 && LENGTH(CENTROIDS) <= 65536 && WIDTH(NEAR) >= 1 &&
                LENGTH(BOUNDS) == LENGTH(NEAR) + 1 && LENGTH(OUT) == LENGTH(VECTORS),
            SHAPES);
    REQUIRE(rising(DATA(BOUNDS), LENGTH(BOUNDS), LENGTH(VECTORS)),
            "the bounds of the groups are not rising or not inside");
    REQUIRE_PART(0, LENGTH(NEAR));
    struct grouped grouped = {DATA(VECTORS),   DATA(BOUNDS), DATA(NEAR),        DATA(CENTROIDS),
                              DATA(PENALTIES), WIDTH(NEAR),  LENGTH(CENTROIDS), WIDTH(VECTORS)};
    RUN(nearest_listed(&grouped, DATA(OUT), call.numbers[0], call.numbers[1]));
}

static PyObject *centroid_table(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    enum { CENTROIDS, QUERY, SLOPES, SHIFTS, OUT };
    TAKE("centroid_table", "b2b2f1f1B2!nn");
    REQUIRE(usable(WIDTH(CENTROIDS)), DIMENSION);
    REQUIRE(WIDTH(QUERY) == WIDTH(CENTROIDS) && LENGTH(OUT) == LENGTH(CENTROIDS) &&
                WIDTH(OUT) == (LENGTH(QUERY) + LANES - 1) / LANES * LANES &&
                LENGTH(SLOPES) == WIDTH(OUT) && LENGTH(SHIFTS) == WIDTH(OUT),
            SHAPES);
    REQUIRE_PART(0, LENGTH(OUT));
    RUN(centroid_table(DATA(CENTROIDS), DATA(QUERY), LENGTH(QUERY), WIDTH(QUERY), DATA(SLOPES),
                       DATA(SHIFTS), DATA(OUT), call.numbers[0], call.numbers[1]));
}

static PyObject *centroid_max(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    enum { TABLE, CODES, OFFSETS, ROWS, OUT };
    TAKE("centroid_max", "B2H1q1q1i1!nn");
    REQUIRE(WIDTH(TABLE) % LANES == 0 && LENGTH(OFFSETS) > 0 && LENGTH(OUT) == LENGTH(ROWS),
            SHAPES);
    REQUIRE_PART(0, LENGTH(ROWS));
    struct ragged passages = {DATA(OFFSETS), LENGTH(OFFSETS) - 1, LENGTH(CODES),
                              DATA(ROWS),    call.numbers[0],     call.numbers[1]};
    RUN(centroid_max(DATA(TABLE), LENGTH(TABLE), WIDTH(TABLE), DATA(CODES), &passages, DATA(OUT)));
}

static PyObject *probe(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    enum { TABLE, OUT };
    TAKE("probe", "B2i2!nn");
    REQUIRE(WIDTH(TABLE) % LANES == 0 && LENGTH(OUT) <= WIDTH(TABLE) &&
                WIDTH(OUT) <= LENGTH(TABLE) && LENGTH(TABLE) <= INT32_MAX,
            SHAPES);
    REQUIRE_PART(0, LENGTH(OUT));
    RUN(probe(DATA(TABLE), LENGTH(TABLE), WIDTH(TABLE), DATA(OUT), WIDTH(OUT), call.numbers[0],
              call.numbers[1]));
}

static PyObject *list_sums(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    enum { POSTINGS, STARTS, PROBES, VALUES, IMPUTED, OUT };
    TAKE("list_sums", "H1q2ni2B2B1H1!");
    REQUIRE(WIDTH(STARTS) > 0 && call.numbers[0] < LENGTH(STARTS) &&
                LENGTH(VALUES) == LENGTH(PROBES) && WIDTH(VALUES) == WIDTH(PROBES) &&
                LENGTH(IMPUTED) == LENGTH(PROBES) && LENGTH(OUT) <= LIST_BLOCK,
            SHAPES);
    struct lists lists = {
        .postings = DATA(POSTINGS),
        .postings_count = LENGTH(POSTINGS),
        .starts = (const int64_t *)DATA(STARTS) + call.numbers[0] * WIDTH(STARTS),
        .centroids = WIDTH(STARTS) - 1,
        .probes = DATA(PROBES),
        .values = DATA(VALUES),
        .imputed = DATA(IMPUTED),
        .tokens = LENGTH(PROBES),
        .probed = WIDTH(PROBES),
    };
    RUN(list_sums(&lists, DATA(OUT), LENGTH(OUT)));
}

static PyObject *top_i32(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    TAKE("top_i32", "i1q1!");
    REQUIRE(LENGTH(1) <= LENGTH(0) && LENGTH(0) <= UINT32_MAX, SHAPES);
    RUN(top_i32(DATA(0), LENGTH(0), DATA(1), LENGTH(1)));
}

static PyObject *top_u16(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    TAKE("top_u16", "H1q1!");
    REQUIRE(LENGTH(1) <= LENGTH(0) && LENGTH(0) <= UINT32_MAX, SHAPES);
    RUN(top_u16(DATA(0), LENGTH(0), DATA(1), LENGTH(1)));
}

static PyObject *units(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    enum { CODES, SCALES, MEAN, ROTATION, INVERSE, OUT };
    TAKE("units", "b2f1f1f2f1b2!nn");
    size_t d = WIDTH(CODES);
    REQUIRE(usable(d), DIMENSION);
    REQUIRE(LENGTH(SCALES) == LENGTH(CODES) && LENGTH(MEAN) == d && LENGTH(ROTATION) == d &&
                WIDTH(ROTATION) == d && LENGTH(INVERSE) == 1 && LENGTH(OUT) == LENGTH(CODES) &&
                WIDTH(OUT) == d,
            SHAPES);
    REQUIRE_PART(0, LENGTH(OUT));
    const float *inverse = DATA(INVERSE);
    RUN(units(DATA(CODES), DATA(SCALES), DATA(MEAN), DATA(ROTATION), *inverse, d, DATA(OUT),
              call.numbers[0], call.numbers[1]));
}

static PyObject *ward(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    enum { VECTORS, BOUNDS, GROUPS, LIMITS, OUT };
    TAKE("ward", "b2q1q1f1i1!nn");
    REQUIRE(usable(WIDTH(VECTORS)), DIMENSION);
    REQUIRE(LENGTH(BOUNDS) == LENGTH(GROUPS) + 1 && LENGTH(LIMITS) == LENGTH(GROUPS) &&
                LENGTH(OUT) == LENGTH(VECTORS),
            SHAPES);
    REQUIRE_PART(0, LENGTH(GROUPS));
    RUN(ward(DATA(VECTORS), LENGTH(VECTORS), WIDTH(VECTORS), DATA(BOUNDS), DATA(GROUPS),
             DATA(LIMITS), DATA(OUT), call.numbers[0], call.numbers[1]));
}

static PyObject *available(PyObject *self, PyObject *nothing)
{
    (void)self, (void)nothing;
    const struct kernels *const *found = kernels_available();
    PyObject *names = PyList_New(0);
    for (size_t i = 0; names != NULL && found[i] != NULL; i++) {
        PyObject *name = PyUnicode_FromString(found[i]->name);
        if (name == NULL || PyList_Append(names, name) != 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static PyObject *use(PyObject *self, PyObject *wanted)
{
    (void)self;
    for (const struct kernels *const *found = kernels_available(); *found != NULL; found++)
        if (PyUnicode_Check(wanted) &&
            PyUnicode_CompareWithASCIIString(wanted, (*found)->name) == 0) {
            active = *found;
            Py_RETURN_NONE;
        }
    return PyErr_Format(PyExc_ValueError, "use: %R is not available", wanted);
}

static PyObject *isa(PyObject *self, PyObject *nothing)
{
    (void)self, (void)nothing;
    return PyUnicode_FromString(active->name);
}

#define KERNEL(name) {#name, (PyCFunction)(void (*)(void))name, METH_FASTCALL, NULL}
static PyMethodDef methods[] = {
    KERNEL(max_sim),
    KERNEL(max_sim_compressed),
    KERNEL(decode),
    KERNEL(encode),
    KERNEL(nearest),
    KERNEL(nearest_listed),
    KERNEL(centroid_table),
    KERNEL(centroid_max),
    KERNEL(probe),
    KERNEL(list_sums),
    KERNEL(top_i32),
    KERNEL(top_u16),
    KERNEL(units),
    KERNEL(ward),
    {"available", available, METH_NOARGS, "The instruction sets that can be used, best first."},
    {"use", use, METH_O, "Let all kernels use an instruction set, by its name."},
    {"isa", isa, METH_NOARGS, "The name of the instruction set in use."},
    {NULL, NULL, 0, NULL},
};

static int prepare(PyObject *module)
{
    (void)module;
    active = kernels_available()[0];
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)prepare}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = "The compiled kernels; each computes what its namesake in `reference` does.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
