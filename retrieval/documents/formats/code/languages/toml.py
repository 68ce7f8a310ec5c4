"""TOML: tables, and values of several lines, by the path of their keys."""

from retrieval.documents.formats.code.grammar import Grammar

GRAMMAR = Grammar(
    "toml",
    "tree_sitter_toml",
    definitions="""
    (table . (_) @key) @definition
    (table_array_element . (_) @key) @definition
    (pair . (_) @key) @definition
    """,
    blocks=("document", "table", "table_array_element", "array"),
    is_data=True,
)
