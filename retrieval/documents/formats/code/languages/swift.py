"""Swift."""

from retrieval.documents.formats.code.grammar import Grammar, named

GRAMMAR = Grammar(
    "swift",
    "tree_sitter_swift",
    definitions=f"""
    {named("class_declaration", "protocol_declaration", "protocol_function_declaration")}
    (function_declaration "func" . _ @name body: (_)? @body) @definition
    (init_declaration "init" @name body: (_)? @body) @definition
    (deinit_declaration "deinit" @name body: (_)? @body) @definition
    (subscript_declaration "subscript" @name (computed_property) @body) @definition
    (typealias_declaration name: (_) @name) @definition
    (property_declaration name: (pattern bound_identifier: (_) @name)
        computed_value: (_) @body) @definition
    ((property_declaration (modifiers (property_modifier) @_static)
        name: (pattern bound_identifier: (_) @name) value: (_) @body) @definition
        (#eq? @_static "static"))
    (call_expression (simple_identifier) (call_suffix
        (value_arguments . (value_argument value: (line_string_literal) @key))
        (lambda_literal))) @definition
    (source_file (property_declaration name: (pattern bound_identifier: (_) @name)
        value: (_)? @body) @definition)
    """,
    blocks=(
        *("source_file", "class_body", "enum_class_body", "protocol_body", "statements"),
        *("switch_statement", "value_arguments", "array_literal", "dictionary_literal"),
    ),
    comments=("comment", "multiline_comment"),
    attributes=("attribute",),
    imports="(import_declaration (identifier) @import)",
    begins=r"""(?x)
    import\s+[A-Z]\w*$ | @\w+(?:\(.*)?$
    | (?:(?:public|private|internal|open|fileprivate|static|final|override|mutating|class)\s+)*
      (?:func\s+\w+\s*[(<] | (?:class|struct|enum|protocol|extension|actor)\s+\w+.*\{ | init\s*\()
    """,
)
