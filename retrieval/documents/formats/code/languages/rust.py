"""Rust."""

from retrieval.documents.formats.code.grammar import Grammar, named

_PLAIN = """
    (type_identifier) @name
    (generic_type type: [(type_identifier) @name (scoped_type_identifier name: (_) @name)])
    (scoped_type_identifier name: (_) @name)
    (primitive_type) @name
    (array_type) @name
    (function_type !trait) @name
"""


def _types(depth: int) -> str:
    """What an implementation is of, for its name: a type without so many `&`, `*` and `dyn`."""
    if not depth:
        return _PLAIN
    inner = f"[{_types(depth - 1)}]"
    traits = f"[{_PLAIN} (function_type trait: (_) @name)]"
    return f"""{_PLAIN}
    (reference_type type: {inner})
    (pointer_type type: {inner})
    (dynamic_type trait: {traits})
    (bounded_type . (dynamic_type trait: {traits}))
    (tuple_type . (bounded_type . (dynamic_type trait: {traits})) .)
    (tuple_type . (_) . (_)) @name
    """


GRAMMAR = Grammar(
    "rust",
    "tree_sitter_rust",
    definitions=f"""
    {
        named(
            "enum_item",
            "function_item",
            "mod_item",
            "struct_item",
            "trait_item",
            "union_item",
        )
    }
    (function_signature_item name: (_) @name) @definition
    (impl_item type: [{_types(3)} (unit_type) @name] body: (_)? @body) @definition
    (impl_item type: (tuple_type . (_) .) @name body: (_)? @body) @definition
    (macro_definition name: (_) @name . (_) @body) @definition
    (type_item name: (_) @name type: (_) @body) @definition
    (source_file (const_item name: (_) @name value: (_)? @body) @definition)
    (source_file (static_item name: (_) @name value: (_)? @body) @definition)
    (declaration_list (const_item name: (_) @name value: (_)? @body) @definition)
    """,
    blocks=(
        *("source_file", "declaration_list", "block", "match_block", "enum_variant_list"),
        *("field_declaration_list", "field_initializer_list", "array_expression", "arguments"),
        *("macro_definition",),
    ),
    comments=("line_comment", "block_comment"),
    attributes=("attribute_item", "inner_attribute_item"),
    imports="""
    (use_declaration argument: [(identifier) (scoped_identifier)] @import)
    (use_declaration argument: (scoped_use_list path: (_) @import))
    (use_declaration argument: (use_as_clause path: (_) @import))
    (use_declaration argument: (use_wildcard (_) @import))
    (extern_crate_declaration name: (_) @import)
    """,
    begins=r"""(?x)
    (?:pub(?:\([^()]*\))?\s+)?
      (?: (?:async\s+|unsafe\s+|const\s+|extern\s+(?:"\w+"\s+)?)*fn\s+\w+\s*[(<]
        | (?:struct|enum|trait|mod|union)\s+\w+ | (?:const|static|type)\s+\w+\s*[:=<]
        | use\s+[\w:]+ )
    | impl\b.*\{?$ | \#!?\[\w | macro_rules!
    """,
)
