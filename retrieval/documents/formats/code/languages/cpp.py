"""C++, CUDA included."""

from retrieval.documents.formats.code.grammar import Grammar, named
from retrieval.documents.formats.code.languages import c

_MEMBERS = ("field_declaration_list", *c.CONDITIONS)

GRAMMAR = Grammar(
    "cpp",
    "tree_sitter_cpp",
    definitions="\n".join(
        [
            c.DEFINITIONS,
            "(class_specifier name: (_) @name body: (_) @body) @definition",
            named("concept_definition"),
            "(alias_declaration name: (_) @name type: (_) @body) @definition",
            *c.within(_MEMBERS, c.functions("field_declaration", body=False, references=True)),
            *c.within(_MEMBERS[:1], c.functions("declaration", body=False, references=True)),
            *c.functions("function_definition", body=True, references=True),
            "(function_definition declarator: (operator_cast type: (_) @name) body: (_) @body)"
            " @definition",
        ]
    ),
    blocks=(*c.BLOCKS, "try_statement"),
    transparent=(*c.TRANSPARENT, "namespace_definition"),
    imports="(preproc_include path: (_) @import)",
)
