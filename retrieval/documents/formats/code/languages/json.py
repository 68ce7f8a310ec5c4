"""JSON, comments included: objects and arrays of several lines, by the path of their keys."""

from retrieval.documents.formats.code.grammar import Grammar

GRAMMAR = Grammar(
    "json",
    "tree_sitter_json",
    definitions="""
    (pair key: (string (string_content) @key) value: [(object) (array)]) @definition
    """,
    blocks=("document", "object", "array"),
    is_data=True,
)
