"""CSS and what is written like it: rules by their selectors."""

from retrieval.documents.formats.code.grammar import Grammar

GRAMMAR = Grammar(
    "css",
    "tree_sitter_css",
    definitions="""
    (rule_set (selectors) @key (block) @body) @definition
    (keyframes_statement (keyframes_name) @key (keyframe_block_list) @body) @definition
    """,
    blocks=("stylesheet", "block", "keyframe_block_list"),
    transparent=("media_statement", "supports_statement"),
    imports="""
    (import_statement (string_value) @import)
    (import_statement (call_expression (arguments [(string_value) (plain_value)] @import)))
    """,
    is_data=True,
)
