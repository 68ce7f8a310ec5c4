"""Java."""

from retrieval.documents.formats.code.grammar import Grammar, named

GRAMMAR = Grammar(
    "java",
    "tree_sitter_java",
    definitions=f"""
    {
        named(
            "annotation_type_declaration",
            "class_declaration",
            "compact_constructor_declaration",
            "constructor_declaration",
            "enum_declaration",
            "interface_declaration",
            "method_declaration",
            "record_declaration",
        )
    }
    ((field_declaration (modifiers) @_modifiers
        declarator: (variable_declarator name: (_) @name value: (_) @body)) @definition
        (#match? @_modifiers "\\\\bstatic\\\\b")
        (#match? @_modifiers "\\\\bfinal\\\\b"))
    (constant_declaration
        declarator: (variable_declarator name: (_) @name value: (_) @body)) @definition
    """,
    blocks=(
        *("program", "class_body", "interface_body", "enum_body", "enum_body_declarations"),
        *("annotation_type_body", "block", "constructor_body", "array_initializer"),
        *("switch_block", "switch_block_statement_group", "argument_list"),
    ),
    comments=("line_comment", "block_comment"),
    attributes=("annotation", "marker_annotation"),
    imports="(import_declaration [(identifier) (scoped_identifier)] @import)",
    begins=r"""(?x)
    package\s+[\w.]+; | import\s+(?:static\s+)?[\w.]+(?:\.\*)?;
    | @\w+(?:\(.*)?$
    | (?!.*\bfunction\b)
      (?:(?:public|private|protected|static|final|abstract|synchronized|native|default)\s+)*
      (?: (?:class|interface|enum|record|@interface)\s+\w+
        | (?:<.*>\s*)?[\w.]+(?:<.*>)?(?:\[\])*\s+[a-z]\w*\s*\(.*[{(,);]$
        | [A-Z]\w*\s*\(.*\{$ )
    """,
)
