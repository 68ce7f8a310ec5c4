"""Ruby."""

from retrieval.documents.formats.code.grammar import Grammar, named


def _tests(parent: str) -> str:
    """A query for calls with a block that are named in words: `it "loads" do`."""
    return f"""
    ({parent} (call
        arguments: (argument_list . [(string (string_content) @key) (constant) @key])
        block: (do_block)) @definition)
    """


GRAMMAR = Grammar(
    "ruby",
    "tree_sitter_ruby",
    definitions=f"""
    {named("class", "module", "method", "singleton_method")}
    (singleton_method object: (constant) @receiver name: (_) @name body: (_)? @body) @definition
    (program (assignment left: (constant) @name right: (_) @body) @definition)
    (body_statement (assignment left: (constant) @name right: (_) @body) @definition)
    {_tests("program")}
    {_tests("body_statement")}
    {_tests("block_body")}
    """,
    blocks=(
        *("program", "body_statement", "block_body", "then", "else", "ensure", "begin", "do"),
        *("hash", "array", "argument_list", "case", "when"),
    ),
    transparent=("singleton_class",),
    imports="(call method: (identifier) arguments: (argument_list . (string) .)) @import",
    begins=r"""(?x)
    def\s+(?:self\.)?\w+[?!=]?\s*(?:\(.*\)?)?$ | (?:class|module)\s+[A-Z][\w:]*(?:\s*<\s*[\w:]+)?$
    | require(?:_relative)?\s+['"]
    """,
)
