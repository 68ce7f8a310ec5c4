"""PowerShell. The grammar is an extra."""

from retrieval.documents.formats.code.grammar import Grammar

GRAMMAR = Grammar(
    "powershell",
    "tree_sitter_powershell",
    definitions="""
    (function_statement (function_name) @name "{" @body . (comment)? @doc) @definition
    (class_statement . (simple_name) @name "{" @body) @definition
    (class_method_definition (simple_name) @name "{" @body) @definition
    (enum_statement (simple_name) @name "{" @body) @definition
    """,
    blocks=(
        *("program", "statement_list", "statement_block", "script_block", "script_block_body"),
        *("class_statement", "named_block_list", "enum_statement"),
    ),
    attributes=("attribute",),
    imports="""
    ((command (command_name) @_name (command_elements (generic_token) @import))
      (#match? @_name "^(?i:import-module)$"))
    """,
    begins=r"(?i:function|filter)\s+[A-Z][a-z]+-[A-Z]\w*\s*(?:\(.*\))?\s*\{?$"
    r"|\[CmdletBinding\(|(?i:#Requires\s+-)",
)
