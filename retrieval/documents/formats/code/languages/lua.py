"""Lua."""

from retrieval.documents.formats.code.grammar import Grammar, named

GRAMMAR = Grammar(
    "lua",
    "tree_sitter_lua",
    definitions=f"""
    {named("function_declaration")}
    (assignment_statement
        (variable_list . name: (_) @name)
        (expression_list . value: (function_definition body: (_)? @body))) @definition
    (chunk (variable_declaration (assignment_statement
        (variable_list . name: (_) @name)
        (expression_list . value: (table_constructor) @body)) @definition))
    (chunk (function_call arguments:
        (arguments . (string) @key (function_definition) .)) @definition)
    (block (function_call arguments:
        (arguments . (string) @key (function_definition) .)) @definition)
    (field name: (identifier) @name value: (function_definition body: (_)? @body)) @definition
    """,
    blocks=("chunk", "block", "table_constructor", "arguments"),
    imports="(function_call name: (identifier) arguments: (arguments . (string) .)) @import",
    begins=r"(?:local\s+)?function\s+[\w.:]+\s*\(.*\)|local\s+\w+\s*=\s*(?:require\b|\{|function\b)",
)
