"""YAML: mappings, lists and texts of several lines, by the path of their keys."""

from retrieval.documents.formats.code.grammar import Grammar

GRAMMAR = Grammar(
    "yaml",
    "tree_sitter_yaml",
    definitions="""
    (block_mapping_pair key: (_) @key value: (_)) @definition
    (flow_pair key: (_) @key value: (_)) @definition
    """,
    blocks=("stream", "block_mapping", "block_sequence", "flow_mapping", "flow_sequence"),
    is_data=True,
)
