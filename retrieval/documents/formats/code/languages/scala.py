"""Scala 2 and 3."""

from retrieval.documents.formats.code.grammar import Grammar, named

GRAMMAR = Grammar(
    "scala",
    "tree_sitter_scala",
    definitions=f"""
    {
        named(
            "class_definition",
            "enum_definition",
            "function_definition",
            "given_definition",
            "object_definition",
            "package_object",
            "trait_definition",
        )
    }
    (function_declaration name: (_) @name) @definition
    (type_definition name: (_) @name type: (_)? @body) @definition
    (compilation_unit (val_definition pattern: (_) @name value: (_) @body) @definition)
    (template_body (val_definition pattern: (identifier) @name value: (_) @body) @definition)
    (call_expression
        function: (call_expression
            function: (identifier) arguments: (arguments . (string) @key))
        arguments: [(block) (colon_argument)]) @definition
    ((infix_expression left: (infix_expression right: (string) @key)
        operator: (identifier) @_in right: (block)) @definition
        (#match? @_in "^(in|ignore|is)$"))
    ((infix_expression left: (string) @key operator: (identifier) @_in right: (block)) @definition
        (#match? @_in "^(in|when|should|must|can|that|which|ignore)$"))
    """,
    blocks=(
        *("compilation_unit", "template_body", "block", "indented_block", "case_block"),
        *("enum_body", "indented_cases", "arguments", "with_template_body"),
    ),
    comments=("comment", "block_comment"),
    attributes=("annotation",),
    transparent=("package_clause",),
    imports="(import_declaration) @import",
    begins=r"""(?x)
    package\s+[\w.]+$ | import\s+[\w.]+(?:\._|\.\{.*)?$
    | (?:(?:private|protected|implicit|override|final|sealed|abstract|case|lazy|inline)\s+)*
      (?:def\s+\w+.*[:=({] | (?:class|object|trait|enum)\s+\w+)
    """,
)
