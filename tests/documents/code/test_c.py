"""C by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds, named, parsed

TEXT = """\
/* Engines in plain C. */
#include <stdio.h>
#include "engine.h"

#define WITH_STEAM
#define LONGEST 80
#define LARGER(a, b) ((a) > (b) ? (a) : (b))

#ifdef WITH_STEAM
int steam(void);
#endif

typedef struct {
    int size;
} motor_t;

struct engine {
    struct engine *next;
    int size;
};

enum kind { STEAM, DIESEL };

static const int table[] = {
    1, 2, 3,
};

/* Loads it.
   Returns NULL if it is not there. */
static struct engine *
engine_load(const char *path,
            int limit)
{
    if (limit) {
        return NULL;
    }
    return find(path);
}

char **names(void) { return 0; }
"""


def test_c_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "engine.c",
        definitions=[
            ("LONGEST", "#define LONGEST"),
            ("LARGER", "#define LARGER(a, b)"),
            ("steam", "int steam(void)"),
            ("motor_t", "typedef struct"),
            ("engine", "struct engine"),
            ("kind", "enum kind"),
            ("table", "static const int table[]"),
            ("engine_load", "static struct engine * engine_load(const char *path, int limit)"),
            ("names", "char **names(void)"),
        ],
        docs={
            "engine_load": "/* Loads it.\n   Returns NULL if it is not there. */",
        },
        parts=[
            "/* Engines in plain C. */",
            "#define LONGEST 80",
            "#define LARGER(a, b) ((a) > (b) ? (a) : (b))",
            "int steam(void);",
            "typedef struct {",
            "struct engine {",
            "enum kind { STEAM, DIESEL };",
            "static const int table[] = {",
            "/* Loads it.",
            "char **names(void) { return 0; }",
        ],
        title="Engines in plain C.",
        imports=["stdio.h", "engine.h"],
    )


def test_variables_are_named_without_their_values_and_macros_without_the_name_of_another() -> None:
    text = """\
static int boats = 3;
int *moored = NULL;
static const struct operations harbor = {
    .open = harbor_open,
};
static int __init harbor_init(void)
{
    return 0;
}
static struct boat *__must_check find_boat(int id)
{
    return 0;
}
JNIEXPORT jint JNICALL Java_Boat_sail(JNIEnv *env)
{
    return 0;
}
static DWORD flags(int id)
{
    return 0;
}
struct __packed header {
    int size;
};
"""
    assert named(parsed(text, "harbor.c").outline) == {
        "boats": "static int boats",
        "moored": "int *moored",
        "harbor": "static const struct operations harbor",
        "harbor_init": "static int __init harbor_init(void)",
        "find_boat": "static struct boat *__must_check find_boat(int id)",
        "Java_Boat_sail": "JNIEXPORT jint JNICALL Java_Boat_sail(JNIEnv *env)",
        "flags": "static DWORD flags(int id)",
        "header": "struct __packed header",
    }
