"""C#."""

from retrieval.documents.formats.code.grammar import Grammar, named

GRAMMAR = Grammar(
    "csharp",
    "tree_sitter_c_sharp",
    definitions=f"""
    {
        named(
            "class_declaration",
            "constructor_declaration",
            "destructor_declaration",
            "enum_declaration",
            "interface_declaration",
            "local_function_statement",
            "method_declaration",
            "record_declaration",
            "struct_declaration",
        )
    }
    (delegate_declaration name: (_) @name) @definition
    (property_declaration name: (_) @name accessors: (_)? @body value: (_)? @body) @definition
    (event_declaration name: (_) @name accessors: (_)? @body) @definition
    ((field_declaration (modifier) @_const
        (variable_declaration (variable_declarator name: (_) @name (_) @body))) @definition
        (#eq? @_const "const"))
    ((field_declaration (modifier) @_static (modifier) @_readonly
        (variable_declaration (variable_declarator name: (_) @name (_) @body))) @definition
        (#eq? @_static "static") (#eq? @_readonly "readonly"))
    (operator_declaration operator: _ @name body: (_)? @body) @definition
    """,
    blocks=(
        *("compilation_unit", "declaration_list", "enum_member_declaration_list", "block"),
        *("accessor_list", "switch_body", "switch_section", "initializer_expression"),
        *("argument_list", "preproc_if", "preproc_elif", "preproc_else"),
    ),
    attributes=("attribute_list",),
    transparent=("namespace_declaration", "preproc_if", "preproc_elif", "preproc_else"),
    imports="""
    (using_directive !name (identifier) @import)
    (using_directive (qualified_name) @import)
    """,
    begins=r"""(?x)
    using\s+[\w.]+; | namespace\s+[\w.]+\s*[{;]?$ | \[\w+(?:\(.*\))?\]$
    | (?:(?:public|private|protected|internal|static|sealed|abstract|virtual|override|async|partial
          |readonly)\s+)+
      (?: (?:class|interface|enum|struct|record)\s+\w+
        | [\w.]+(?:<.*>)?(?:\[\])*\??\s+[A-Z]\w*\s*(?:<.*>)?\s*\( )
    """,
)
