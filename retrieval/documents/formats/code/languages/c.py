"""C."""

from retrieval.documents.formats.code.grammar import Grammar

CONDITIONS = ("preproc_if", "preproc_ifdef", "preproc_elif", "preproc_elifdef", "preproc_else")
_TOP = ("translation_unit", "declaration_list", *CONDITIONS)
_TYPES = ("struct_specifier", "union_specifier", "enum_specifier")

DEFINITIONS = "\n".join(
    [
        "(function_definition declarator: (_) @declarator body: (_) @body) @definition",
        "(preproc_function_def name: (_) @name value: (_)? @body) @definition",
        "(preproc_def name: (_) @name value: (_) @body) @definition",
        *(f"({parent} (declaration declarator: (_) @declarator) @definition)" for parent in _TOP),
        *(
            f"({parent} (declaration declarator:"
            " (init_declarator declarator: (_) @declarator value: (_) @body)) @definition)"
            for parent in _TOP
        ),
        *(f"({kind} name: (_) @name body: (_) @body) @definition" for kind in _TYPES),
        *(
            f"(type_definition type: ({kind} !name body: (_) @body) declarator: (_) @name)"
            " @definition"
            for kind in _TYPES
        ),
    ]
)

_MACRO = r"(?:__\w+|[A-Z][A-Z\d_]{2,})"
_ARGUMENTS = r"(?:[ \t]*\([^()]{0,500}(?:\([^()]{0,500}\)[^()]{0,500}){0,8}\))?"

MACROS = rf"""(?x)
    \b(?:class|struct|union|enum(?:[ ]class)?) [ \t]+ ({_MACRO}{_ARGUMENTS}) [ \t]+
    (?=\w+ \s{{0,80}} (?:final\s{{0,80}})? (?::(?!:)|\{{))
  | \b (?!(?:static|extern|inline|const|constexpr|unsigned|signed|struct|union|enum|class|typedef
        |volatile|virtual|explicit|friend|register|return|else|new|define)\b)
    \w+ [ \t*]{{1,40}} ({_MACRO}) (?=[ \t]+\w+[ \t]*\()
  | ^[ \t]* ([A-Z][A-Z\d_]{{3,}} {_ARGUMENTS}) [ \t]*\r?$ (?! \s{{0,80}} \{{)
"""
"""Attributes that are macros: of a type (`class BOATS_API Ship {`), of a function (`int __init f(`,
`BOOL WINAPI f(`), and on a line of their own (`Q_OBJECT`, `UPROPERTY(EditAnywhere)`).
"""

BLOCKS = (
    *_TOP,
    *("compound_statement", "field_declaration_list", "enumerator_list", "case_statement"),
    *("initializer_list", "argument_list"),
)

TRANSPARENT = (*CONDITIONS, "linkage_specification")

GRAMMAR = Grammar(
    "c",
    "tree_sitter_c",
    definitions=DEFINITIONS,
    blocks=BLOCKS,
    macros=MACROS,
    transparent=TRANSPARENT,
    imports="(preproc_include path: (_) @import)",
    otherwise=("cpp",),
    begins=r"""(?x)
    \#\s*(?:include\s*[<"]|define\s+\w|if(?:n?def)?\s)
    | (?:typedef\s+)?(?:struct|union|enum)\b[\w\s]*\{?$
    | (?=[^;]*\{)(?!(?:function|def|fun|func|public|private)\b)
      (?:(?:static|extern|inline|const|unsigned|struct|enum)\s+)*\w+[ *]+\w+\s*\([^;.\n]*[{(,)]$
    """,
)
