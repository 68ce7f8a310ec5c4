"""TypeScript; files with JSX are in the language `tsx`, by the same package."""

from retrieval.documents.formats.code.grammar import Grammar, named
from retrieval.documents.formats.code.languages import javascript

DEFINITIONS = f"""
{javascript.DEFINITIONS}
{
    named(
        "abstract_class_declaration",
        "abstract_method_signature",
        "enum_declaration",
        "function_signature",
        "interface_declaration",
        "internal_module",
        "method_signature",
        "module",
    )
}
(type_alias_declaration name: (_) @name value: (_) @body) @definition
(public_field_definition "static" name: (_) @name value: (_) @body) @definition
(public_field_definition name: (_) @name
    value: [(arrow_function body: (_) @body) (function_expression body: (_) @body)]) @definition
"""

BLOCKS = (*javascript.BLOCKS, "interface_body", "enum_body", "object_type", "union_type")

IMPORTS = f"""
{javascript.IMPORTS}
(import_require_clause source: (string) @import)
"""

GRAMMAR = Grammar(
    "typescript",
    "tree_sitter_typescript",
    definitions=DEFINITIONS,
    blocks=tuple(block for block in BLOCKS if not block.startswith("jsx")),
    comments=("comment", "hash_bang_line"),
    attributes=("decorator",),
    imports=IMPORTS,
    entry="language_typescript",
    otherwise=("tsx",),
    begins=r"""(?x)
    (?:export\s+)?(?:default\s+)?(?:async\s+)?function\b\s*\*?\s*\w*\s*[(<]
    | (?:export\s+)?(?:default\s+)?(?:abstract\s+)?(?:class|interface|enum|namespace)\s+\w+.*\{
    | (?:export\s+)?(?:type|const|let)\s+\w+.*=
    | import\s.*\bfrom\s+['"] | @\w+\(
    """,
)
