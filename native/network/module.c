/* The Python module: tensors in by the buffer protocol, sizes checked, the interpreter's lock
 * released while a text runs. Only the limited API of Python 3.11 is used. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdlib.h>
#include <string.h>

#include "network.h"

static const char CAPSULE[] = "retrieval.encoders._compiled";

/* A network, what runs it, and what it borrows: its embedding table stays where it lies. */
struct model {
    struct network network;
    const struct instruction_set *set;
    Py_buffer embeddings, embedding_scales;
};

static void matrix_free(struct matrix *m)
{
    free(m->tiles);
    free(m->starts);
    free(m->scales);
}

static void model_free(struct model *model)
{
    struct network *n = &model->network;
    for (size_t i = 0; n->layers != NULL && i < n->layer_count; i++) {
        struct layer *layer = &n->layers[i];
        free(layer->attn_norm);
        free(layer->mlp_norm);
        matrix_free(&layer->qkv);
        matrix_free(&layer->attn_out);
        matrix_free(&layer->gate_value);
        matrix_free(&layer->mlp_out);
    }
    free(n->layers);
    free(n->embedding_norm);
    free(n->final_norm);
    free(n->dense);
    matrix_free(&n->skip);
    matrix_free(&n->up);
    matrix_free(&n->down);
    matrix_free(&n->near);
    PyBuffer_Release(&model->embeddings);
    PyBuffer_Release(&model->embedding_scales);
    free(model);
}

static void capsule_free(PyObject *capsule)
{
    model_free(PyCapsule_GetPointer(capsule, CAPSULE));
}

/* An array of `count` items of a format of the struct module; 0 with an exception if it is not. */
static int array_of(PyObject *object, char format, size_t count, int flags, const char *what,
                    Py_buffer *out)
{
    if (PyObject_GetBuffer(object, out, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | flags) != 0)
        return 0;
    const char *found = out->format != NULL ? out->format : "B";
    const int same = found[0] == format || (format == 'q' && found[0] == 'l');
    if (same && found[1] == '\0' && (size_t)out->len == count * (size_t)out->itemsize &&
        (uintptr_t)out->buf % (size_t)out->itemsize == 0)
        return 1;
    PyErr_Format(PyExc_ValueError, "%s: %zd bytes of format %s, expected %zu items of %c", what,
                 out->len, found, count, format);
    PyBuffer_Release(out);
    return 0;
}

/* Takes tensors one after another; once one has failed, nothing is taken any more. */
struct reader {
    const struct instruction_set *set;
    PyObject *tensors; /* a tuple */
    Py_ssize_t at;
    int failed;
};

static int next_array(struct reader *r, char format, size_t count, Py_buffer *out)
{
    if (r->failed)
        return 0;
    PyObject *item = PyTuple_GetItem(r->tensors, r->at++);
    r->failed = item == NULL || !array_of(item, format, count, 0, "a tensor", out);
    return !r->failed;
}

static float *next_floats(struct reader *r, size_t count)
{
    Py_buffer from;
    if (!next_array(r, 'f', count, &from))
        return NULL;
    float *copy = aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64);
    if (copy != NULL)
        memcpy(copy, from.buf, count * sizeof(float));
    else {
        r->failed = 1;
        PyErr_NoMemory();
    }
    PyBuffer_Release(&from);
    return copy;
}

static void next_matrix(struct reader *r, struct matrix *m, size_t out, size_t in)
{
    Py_buffer rows, scales;
    if (!next_array(r, 'b', out * in, &rows))
        return;
    if (next_array(r, 'f', out, &scales)) {
        if (!r->set->pack(m, rows.buf, scales.buf, out, in)) {
            r->failed = 1;
            PyErr_NoMemory();
        }
        PyBuffer_Release(&scales);
    }
    PyBuffer_Release(&rows);
}

static void next_layer(struct reader *r, const struct network *n, struct layer *layer, int first)
{
    const size_t hidden = n->hidden, inner = n->inner;
    if (!first)
        layer->attn_norm = next_floats(r, hidden);
    next_matrix(r, &layer->qkv, 3 * hidden, hidden);
    next_matrix(r, &layer->attn_out, hidden, hidden);
    layer->mlp_norm = next_floats(r, hidden);
    next_matrix(r, &layer->gate_value, 2 * inner, hidden);
    next_matrix(r, &layer->mlp_out, hidden, inner);
}

/* What the loops of every instruction set take for granted: registers are filled with sixteen values,
 * and a hidden vector's are in whole groups of them. */
enum { LANES = 16, GROUP = 64 };

static const char *misfit(const struct network *n, size_t token_inner, size_t near)
{
    if (n->hidden == 0 || n->hidden % GROUP != 0 || n->hidden > MAX_SIDE)
        return "the hidden size is not a multiple of 64";
    if (n->inner == 0 || n->inner % GROUP != 0 || n->inner > MAX_SIDE)
        return "the intermediate size is not a multiple of 64";
    if (n->heads == 0 || n->hidden % n->heads != 0 || n->hidden / n->heads % (2 * LANES) != 0 ||
        n->hidden / n->heads > MAX_HEAD)
        return "a head has not 32, 64, 96 or 128 dimensions";
    if (n->vocabulary == 0 || n->vocabulary > INT32_MAX || n->layer_count == 0)
        return "there are no tokens or no layers";
    if (n->dense_dim > MAX_SIDE || n->token_dim > MAX_SIDE || n->window > INT32_MAX)
        return "a side is too long";
    if (n->token_dim > 0 &&
        (token_inner == 0 || token_inner % LANES != 0 || token_inner > MAX_SIDE))
        return "the token head's inner size is not a multiple of 16";
    if (near % LANES != 0 || near > n->hidden || n->reach > MAX_SIDE ||
        n->hidden + near * (2 * n->reach + 1) > MAX_SIDE)
        return "what the token head reads of its neighbours is not a multiple of 16, or too much";
    return NULL;
}

static void fill(struct model *model, struct reader *r, size_t token_inner, size_t near,
                 const uint8_t *local)
{
    struct network *n = &model->network;
    if (next_array(r, 'b', n->vocabulary * n->hidden, &model->embeddings))
        n->embeddings = model->embeddings.buf;
    if (next_array(r, 'f', n->vocabulary, &model->embedding_scales))
        n->embedding_scales = model->embedding_scales.buf;
    n->embedding_norm = next_floats(r, n->hidden);
    for (size_t i = 0; i < n->layer_count; i++) {
        n->layers[i].local = local[i] != 0;
        next_layer(r, n, &n->layers[i], i == 0);
    }
    n->final_norm = next_floats(r, n->hidden);
    if (n->dense_dim > 0)
        n->dense = next_floats(r, n->dense_dim * n->hidden);
    if (n->token_dim > 0) {
        const size_t inputs = n->hidden + near * (2 * n->reach + 1);
        next_matrix(r, &n->skip, n->token_dim, inputs);
        next_matrix(r, &n->up, token_inner, inputs);
        next_matrix(r, &n->down, n->token_dim, token_inner);
        if (near > 0)
            next_matrix(r, &n->near, near, n->hidden);
    }
    if (!r->failed && r->at != PyTuple_Size(r->tensors)) {
        r->failed = 1;
        PyErr_SetString(PyExc_ValueError, "network: too many tensors");
    }
}

/* The instruction set of that name; NULL with an exception if there is none here. */
static const struct instruction_set *set_of(const char *name)
{
    for (const struct instruction_set *const *set = instruction_sets(); *set != NULL; set++)
        if (strcmp((*set)->name, name) == 0)
            return *set;
    PyErr_Format(PyExc_ValueError, "network: no instruction set '%s' here", name);
    return NULL;
}

static PyObject *network(PyObject *self, PyObject *arguments)
{
    (void)self;
    unsigned long long sizes[11];
    double epsilon;
    const char *name, *local;
    Py_ssize_t layers;
    PyObject *tensors;
    if (!PyArg_ParseTuple(arguments, "s(KKKKKKKKKKK)dy#O!", &name, &sizes[0], &sizes[1], &sizes[2],
                          &sizes[3], &sizes[4], &sizes[5], &sizes[6], &sizes[7], &sizes[8],
                          &sizes[9], &sizes[10], &epsilon, &local, &layers, &PyTuple_Type, &tensors))
        return NULL;
    const struct instruction_set *set = set_of(name);
    if (set == NULL)
        return NULL;
    struct model *model = calloc(1, sizeof *model);
    struct layer *all = calloc((size_t)layers + 1, sizeof *all);
    if (model == NULL || all == NULL) {
        free(model);
        free(all);
        return PyErr_NoMemory();
    }
    model->network = (struct network){
        .vocabulary = sizes[0], .hidden = sizes[1], .heads = sizes[2], .inner = sizes[3],
        .window = sizes[4], .dense_dim = sizes[5], .dense_window = sizes[6],
        .token_dim = sizes[7], .reach = sizes[10], .layer_count = (size_t)layers,
        .epsilon = (float)epsilon, .layers = all,
    };
    model->set = set;
    const char *reason = misfit(&model->network, sizes[8], sizes[9]);
    struct reader reader = {.set = set, .tensors = tensors};
    if (reason != NULL)
        PyErr_Format(PyExc_ValueError, "network: %s", reason);
    else
        fill(model, &reader, sizes[8], sizes[9], (const uint8_t *)local);
    PyObject *capsule = NULL;
    if (reason == NULL && !reader.failed)
        capsule = PyCapsule_New(model, CAPSULE, capsule_free);
    if (capsule == NULL)
        model_free(model);
    return capsule;
}

enum { IDS, ANGLES, OUTPUTS = ANGLES + 4, MOST_ARRAYS = OUTPUTS + 3 };

/* One text through a network. `pooled`: into its dense vectors, its windows' and its tokens', else
 * into its hidden vectors and its tokens'. */
static PyObject *run(PyObject *arguments, int pooled)
{
    PyObject *capsule, *objects[MOST_ARRAYS] = {NULL};
    const int arrays_given = pooled ? MOST_ARRAYS : MOST_ARRAYS - 1;
    if (!PyArg_ParseTuple(arguments, pooled ? "OOOOOOOOO" : "OOOOOOOO", &capsule, &objects[0],
                          &objects[1], &objects[2], &objects[3], &objects[4], &objects[5],
                          &objects[6], &objects[7]))
        return NULL;
    struct model *model = PyCapsule_GetPointer(capsule, CAPSULE);
    if (model == NULL)
        return NULL;
    const struct network *n = &model->network;
    const Py_ssize_t size = PyObject_Length(objects[IDS]);
    if (size <= 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "forward: a text has at least one token");
        return NULL;
    }
    const size_t length = (size_t)size, half = n->hidden / n->heads / 2;
    const size_t windows = n->dense_window > 0 ? window_count(length, n->dense_window) : 0;
    const size_t tokens = length * n->token_dim;
    const size_t counts[MOST_ARRAYS] = {
        length,
        length * half,
        length * half,
        length * half,
        length * half,
        pooled ? n->dense_dim : length * n->hidden,
        pooled ? windows * n->dense_dim : tokens,
        tokens,
    };
    const char *const names[MOST_ARRAYS] = {
        "ids",    "cosines", "sines", "cosines", "sines", pooled ? "dense" : "hidden",
        pooled ? "windows" : "tokens", "tokens",
    };
    Py_buffer arrays[MOST_ARRAYS];
    int held = 0, status = NETWORK_RANGE;
    while (held < arrays_given &&
           array_of(objects[held], held == IDS ? 'q' : 'f', counts[held],
                    held >= OUTPUTS ? PyBUF_WRITABLE : 0, names[held], &arrays[held]))
        held++;
    if (held == arrays_given) {
        struct text text = {
            .ids = arrays[IDS].buf,
            .length = length,
            .cosines = {arrays[ANGLES].buf, arrays[ANGLES + 2].buf},
            .sines = {arrays[ANGLES + 1].buf, arrays[ANGLES + 3].buf},
            .tokens = arrays[arrays_given - 1].buf,
        };
        if (pooled) {
            text.dense = arrays[OUTPUTS].buf;
            text.windows = arrays[OUTPUTS + 1].buf;
        } else {
            text.hidden = arrays[OUTPUTS].buf;
        }
        Py_BEGIN_ALLOW_THREADS
        status = model->set->forward(n, &text);
        Py_END_ALLOW_THREADS
        if (status == NETWORK_MEMORY)
            PyErr_NoMemory();
        else if (status == NETWORK_RANGE)
            PyErr_Format(PyExc_ValueError, "forward: an id is not below %zu", n->vocabulary);
    }
    while (held > 0)
        PyBuffer_Release(&arrays[--held]);
    if (status != NETWORK_OK)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *forward(PyObject *self, PyObject *arguments)
{
    (void)self;
    return run(arguments, 1);
}

static PyObject *hidden(PyObject *self, PyObject *arguments)
{
    (void)self;
    return run(arguments, 0);
}

static PyObject *available(PyObject *self, PyObject *arguments)
{
    (void)self;
    (void)arguments;
    PyObject *names = PyList_New(0);
    for (const struct instruction_set *const *set = instruction_sets(); *set != NULL; set++) {
        PyObject *name = names != NULL ? PyUnicode_FromString((*set)->name) : NULL;
        if (name == NULL || PyList_Append(names, name) != 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static PyMethodDef methods[] = {
    {"available", available, METH_NOARGS, "This processor's instruction sets, best first."},
    {"network", network, METH_VARARGS,
     "A network of an instruction set's name, sizes and tensors, for `forward`."},
    {"forward", forward, METH_VARARGS, "One text's ids into dense, window and token vectors."},
    {"hidden", hidden, METH_VARARGS, "One text's ids into hidden vectors and token vectors."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_compiled",
    .m_doc = "The embedded model's network, compiled.",
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__compiled(void)
{
    return PyModuleDef_Init(&definition);
}
