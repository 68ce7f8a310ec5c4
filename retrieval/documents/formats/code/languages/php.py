"""PHP, with the HTML around it."""

from retrieval.documents.formats.code.grammar import Grammar, named

DEFINITIONS = f"""
    {
    named(
        "class_declaration",
        "enum_declaration",
        "function_definition",
        "interface_declaration",
        "method_declaration",
        "trait_declaration",
    )
}
    (declaration_list
        (const_declaration (const_element (name) @name (_) @body)) @definition)
    (enum_declaration_list
        (const_declaration (const_element (name) @name (_) @body)) @definition)
    (expression_statement (function_call_expression arguments: (arguments
        . (argument [(string) (encapsed_string)] @key)
        . (argument [(anonymous_function) (arrow_function)])))) @definition
    (expression_statement (member_call_expression object: (function_call_expression
        arguments: (arguments
            . (argument [(string) (encapsed_string)] @key)
            . (argument [(anonymous_function) (arrow_function)]))))) @definition
    (expression_statement (scoped_call_expression arguments: (arguments
        . (argument [(string) (encapsed_string)] @key)
        . (argument [(anonymous_function) (arrow_function)])))) @definition
    (program (const_declaration (const_element (name) @name (_) @body)) @definition)
"""

GRAMMAR = Grammar(
    "php",
    "tree_sitter_php",
    definitions=DEFINITIONS,
    blocks=(
        *("program", "declaration_list", "enum_declaration_list", "compound_statement"),
        *("switch_block", "case_statement", "default_statement", "match_block", "arguments"),
        *("array_creation_expression", "colon_block"),
    ),
    attributes=("attribute_list",),
    transparent=("namespace_definition", "php_tag"),
    imports="""
    (namespace_use_declaration (namespace_use_clause [(name) (qualified_name)] @import))
    (namespace_use_declaration (namespace_name) @import)
    (require_expression (string) @import)
    (require_once_expression (string) @import)
    (include_expression (string) @import)
    (include_once_expression (string) @import)
    """,
    entry="language_php",
    otherwise=("php_only",),
    mark="<?",
    begins=r"<\?php\b",
)
