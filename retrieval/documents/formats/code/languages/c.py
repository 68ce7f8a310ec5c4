"""C."""

from collections.abc import Iterator

from retrieval.documents.formats.code.grammar import Grammar

_TOP = ("translation_unit", "declaration_list")
CONDITIONS = ("preproc_if", "preproc_ifdef", "preproc_elif", "preproc_elifdef", "preproc_else")


def functions(statement: str, *, body: bool, references: bool = False) -> Iterator[str]:
    """Queries for a function whose type has up to three `*`, `&` or brackets before its name."""
    function = "(function_declarator declarator: (_) @name)"
    ends = " body: (_) @body" if body else ""
    inner = function
    for _ in range(4):
        yield f"({statement} declarator: {inner}{ends}) @definition"
        kinds = [f"(pointer_declarator declarator: {inner})", f"(parenthesized_declarator {inner})"]
        kinds += [f"(reference_declarator {inner})"] if references else []
        inner = f"[{' '.join(kinds)}]"


def within(parents: tuple[str, ...], queries: Iterator[str]) -> Iterator[str]:
    """The queries for nodes that stand right within one of the parents."""
    for query in queries:
        yield from (f"({parent} {query})" for parent in parents)


DEFINITIONS = "\n".join(
    [
        *functions("function_definition", body=True),
        *within((*_TOP, *CONDITIONS), functions("declaration", body=False)),
        *(
            f"({kind} name: (_) @name body: (_) @body) @definition"
            for kind in ("struct_specifier", "union_specifier", "enum_specifier")
        ),
        *(
            f"(type_definition type: ({kind} !name body: (_) @body) declarator: (_) @name)"
            " @definition"
            for kind in ("struct_specifier", "union_specifier", "enum_specifier")
        ),
        "(preproc_function_def name: (_) @name value: (_)? @body) @definition",
        *within(
            (*_TOP, *CONDITIONS),
            iter(
                f"(declaration declarator: (init_declarator declarator: {declarator}"
                " value: (_) @body)) @definition"
                for declarator in (
                    "(identifier) @name",
                    "(_ (identifier) @name)",
                    "(_ (_ (identifier) @name))",
                )
            ),
        ),
    ]
)

BLOCKS = (
    *_TOP,
    *CONDITIONS,
    *("compound_statement", "field_declaration_list", "enumerator_list", "case_statement"),
    *("initializer_list", "argument_list"),
)

TRANSPARENT = (*CONDITIONS, "linkage_specification")

GRAMMAR = Grammar(
    "c",
    "tree_sitter_c",
    definitions=DEFINITIONS,
    blocks=BLOCKS,
    transparent=TRANSPARENT,
    imports="(preproc_include path: (_) @import)",
    otherwise=("cpp",),
)
