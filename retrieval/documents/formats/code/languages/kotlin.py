"""Kotlin."""

from retrieval.documents.formats.code.grammar import Grammar

GRAMMAR = Grammar(
    "kotlin",
    "tree_sitter_kotlin",
    definitions="""
    (class_declaration name: (_) @name [(class_body) (enum_class_body)]? @body) @definition
    (object_declaration name: (_) @name (class_body)? @body) @definition
    (function_declaration name: (_) @name (function_body)? @body) @definition
    (type_alias type: (_) @name) @definition
    (source_file (property_declaration (variable_declaration (identifier) @name)) @definition)
    ((property_declaration (modifiers (property_modifier) @_const)
        (variable_declaration (identifier) @name)) @definition
        (#eq? @_const "const"))
    (companion_object (class_body
        (property_declaration (variable_declaration (identifier) @name)) @definition))
    (call_expression
        (call_expression (identifier) (value_arguments (value_argument (string_literal) @key)))
        (annotated_lambda)) @definition
    (call_expression . (string_literal) @key (annotated_lambda)) @definition
    """,
    blocks=(
        *("source_file", "class_body", "enum_class_body", "block", "when_expression"),
        *("value_arguments", "lambda_literal"),
    ),
    comments=("line_comment", "block_comment"),
    attributes=("annotation",),
    macros=r"""(?x)
    ^[ \t]* (/\*(?:[^*\r\n]|\*(?!/)){0,1000}\*/) [ \t]* (?=[^\s/])
    | ^[ \t]* (@[\w.:]+\([^()\r\n]{0,200}\)) (?=[ \t]+const\b)
    """,
    transparent=("companion_object",),
    imports="(import (qualified_identifier) @import)",
    begins=r"""(?x)
    package\s+[\w.]+$ | import\s+[\w.]+(?:\.\*)?$ | @\w+(?:\(.*)?$
    | (?:(?:public|private|internal|protected|open|override|suspend|inline|data|sealed|abstract
          |enum|operator|infix|tailrec)\s+)*
      (?:fun\s+(?:<.*>\s*)?[\w.]+\s*\( | (?:class|object|interface)\s+\w+)
    """,
)
