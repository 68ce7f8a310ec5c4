"""SQL: what a script creates, and its statements. The grammar is an extra: it has 14 MB."""

from retrieval.documents.formats.code.grammar import Grammar

_NAMED = (
    ("create_table", ""),
    ("create_view", "(create_query)? @body"),
    ("create_materialized_view", "(create_query)? @body"),
    ("create_function", "(function_body)? @body"),
    ("create_procedure", "(procedure_body)? @body"),
    ("create_trigger", ""),
    ("create_type", ""),
    ("create_sequence", ""),
)

GRAMMAR = Grammar(
    "sql",
    "tree_sitter_sql",
    definitions="\n".join(
        [
            *(f"({kind} (object_reference) @name {body}) @definition" for kind, body in _NAMED),
            "(create_index column: (_) @name) @definition",
        ]
    ),
    blocks=("program", "column_definitions", "function_body", "block"),
    comments=("comment", "marginalia"),
    brackets=r"""(?xi)
    "[^"\r\n]*" | '[^'\r\n]*' | --[^\r\n]*
    | (?<![\w\])]) (?<!array[ ]) (\[ [a-z_\#] [\w\#$@. -]{0,127} \])
    """,
)
