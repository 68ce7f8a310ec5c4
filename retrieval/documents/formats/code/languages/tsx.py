"""TypeScript with JSX."""

from retrieval.documents.formats.code.grammar import Grammar
from retrieval.documents.formats.code.languages import typescript

GRAMMAR = Grammar(
    "typescript",
    "tree_sitter_typescript",
    definitions=typescript.DEFINITIONS,
    blocks=typescript.BLOCKS,
    comments=("comment", "hash_bang_line"),
    attributes=("decorator",),
    imports=typescript.IMPORTS,
    entry="language_tsx",
)
