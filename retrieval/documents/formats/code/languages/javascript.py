"""JavaScript, with JSX."""

from retrieval.documents.formats.code.grammar import Grammar, named


def _route(length: int) -> str:
    """A query for `router.route("/a").get(...)`, of so many verbs, each with its handler."""
    called = "(call_expression arguments: (arguments . (string (string_fragment) @key) .))"
    for _ in range(length):
        called = f"""(call_expression
            function: (member_expression object: {called} property: (_) @_verb)
            arguments: (arguments [(arrow_function) (function_expression)] .))"""
    return f"""
((expression_statement {called}) @definition
    (#match? @_verb "^(all|delete|get|head|options|patch|post|put)$"))"""


DEFINITIONS = f"""
{
    named(
        "class_declaration",
        "function_declaration",
        "generator_function_declaration",
        "method_definition",
    )
}
(variable_declarator name: (identifier) @name
    value: [
        (arrow_function body: (_) @body)
        (function_expression body: (_) @body)
        (generator_function body: (_) @body)
        (class body: (_) @body)
    ]) @definition
(program (_ (variable_declarator name: (identifier) @name value: (_)? @body) @definition))
(program (export_statement
    (_ (variable_declarator name: (identifier) @name value: (_)? @body) @definition)))
((assignment_expression left: (member_expression) @_left
    right: [
        (function_expression name: (_) @name body: (_) @body)
        (generator_function name: (_) @name body: (_) @body)
        (class name: (_) @name body: (_) @body)
    ]) @definition
    (#eq? @_left "module.exports"))
(assignment_expression left: [(identifier) (member_expression)] @name
    right: [
        (arrow_function body: (_) @body)
        (function_expression body: (_) @body)
        (generator_function body: (_) @body)
        (class body: (_) @body)
    ]) @definition
(export_statement "default" @name
    value: [
        (arrow_function body: (_) @body)
        (function_expression !name body: (_) @body)
        (class !name body: (_) @body)
    ]) @definition
(pair key: (property_identifier) @name
    value: [
        (arrow_function body: (_) @body)
        (function_expression body: (_) @body)
    ]) @definition
(expression_statement (call_expression
    arguments: (arguments . [(string (string_fragment) @key) (template_string) @key]
        [(arrow_function) (function_expression)] .))) @definition
(expression_statement (call_expression
    arguments: (arguments . [(string (string_fragment) @key) (template_string) @key]
        . [(arrow_function) (function_expression)] . [(number) (object) (identifier)] .)))
    @definition
{"".join(map(_route, range(1, 5)))}
(expression_statement (call_expression
    arguments: (arguments . (function_expression name: (_) @name body: (_) @body) .))) @definition
(expression_statement (call_expression
    arguments: (arguments . [(identifier) (member_expression) (this)]
        . (function_expression name: (_) @name body: (_) @body) .))) @definition
(expression_statement (call_expression
    arguments: (arguments . (_) . (_)
        . (function_expression name: (_) @name body: (_) @body) .))) @definition
"""
"""Tests (`it("loads", () => ...)`), routes and handlers are named by the first argument; the last
are functions with a name of their own that a call is given, `define(request, function host() ...)`.
"""

BLOCKS = (
    *("program", "statement_block", "class_body", "switch_body", "switch_case", "switch_default"),
    *("object", "array", "arguments", "jsx_element"),
)

IMPORTS = """
(import_statement source: (string) @import)
(export_statement source: (string) @import)
((call_expression function: (identifier) @_loads arguments: (arguments . (string) .)) @import
    (#eq? @_loads "require"))
"""

GRAMMAR = Grammar(
    "javascript",
    "tree_sitter_javascript",
    definitions=f"""
    {DEFINITIONS}
    (field_definition "static" property: (_) @name value: (_) @body) @definition
    (field_definition property: (_) @name
        value: [(arrow_function body: (_) @body) (function_expression body: (_) @body)])
        @definition
    """,
    blocks=BLOCKS,
    comments=("comment", "hash_bang_line"),
    attributes=("decorator",),
    imports=IMPORTS,
    otherwise=("tsx",),
    begins=r"""(?x)
    (?:export\s+)?(?:default\s+)?(?:async\s+)?function\b\s*\*?\s*\w*\s*\(
    | (?:export\s+)?(?:default\s+)?class\s+\w+(?:\s+extends\s+[\w.]+)?\s*\{
    | (?:export\s+)?(?:const|let|var)\s+[\w{}\s,]+=
    | import\s.*\bfrom\s+['"]
    | (?:module\.)?exports\b.*= | [\w.]+\.prototype\.\w+\s*=\s*function
    """,
)
