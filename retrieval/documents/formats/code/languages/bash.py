"""Bash and other shells that are like it."""

from retrieval.documents.formats.code.grammar import Grammar, named

GRAMMAR = Grammar(
    "bash",
    "tree_sitter_bash",
    definitions=named("function_definition"),
    blocks=(
        *("program", "compound_statement", "do_group", "if_statement", "else_clause"),
        *("elif_clause", "case_statement", "case_item", "array", "subshell", "list"),
    ),
    begins=r"#!.*\b(?:ba|z|k|da)?sh\b|(?:function\s+)?[\w-]+\s*\(\)\s*\{?$",
)
