"""Python, 2 and 3."""

from retrieval.documents.formats.code.grammar import Grammar

GRAMMAR = Grammar(
    "python",
    "tree_sitter_python",
    definitions="""
    (class_definition name: (_) @name body: (_) @body) @definition
    (function_definition name: (_) @name body: (_) @body) @definition
    (class_definition
        name: (_) @name
        body: (block . (comment)* . (expression_statement . (string) @doc))) @definition
    (function_definition
        name: (_) @name
        body: (block . (comment)* . (expression_statement . (string) @doc))) @definition
    (module
        (expression_statement (assignment left: (identifier) @name right: (_)? @body)) @definition)
    (module
        (expression_statement (assignment left: (identifier) @name right: (_)? @body)) @definition
        . (expression_statement . (string) @doc .))
    ((class_definition body: (block (expression_statement
        (assignment left: (identifier) @name right: (_) @body)) @definition))
        (#match? @name "^_*[A-Z][A-Z0-9_]*$"))
    (module (type_alias_statement
        left: (type [(identifier) @name (generic_type . (identifier) @name)]) right: (_) @body)
        @definition)
    """,
    blocks=("module", "block", "dictionary", "list", "set", "tuple", "argument_list"),
    attributes=("decorator",),
    imports="""
    (import_statement name: (dotted_name) @import)
    (import_statement name: (aliased_import name: (dotted_name) @import))
    (import_from_statement module_name: (_) @import)
    """,
    about="(module . (comment)* . (expression_statement . (string) @about))",
    begins=r"""(?x)
    (?:async\s+)?def\s+\w+\s*\((?!.*=\s*\{?$)
    | class\s+\w+\s*(?:\(.*)?:\s*(?:\#.*)?$ | class\s+\w+\s*\(.*$
    | @\w[\w.]*(?:\(.*)?$
    | from\s+[\w.]+\s+import\s+[\w*(]
    | import\s+[\w.]+(?:\s+as\s+\w+)?(?:\s*,\s*[\w.]+(?:\s+as\s+\w+)?)*$
    """,
)
