"""Go."""

from retrieval.documents.formats.code.grammar import Grammar, named

_RECEIVERS = (
    "(type_identifier) @receiver",
    "(generic_type type: (_) @receiver)",
    "(pointer_type (type_identifier) @receiver)",
    "(pointer_type (generic_type type: (_) @receiver))",
)

GRAMMAR = Grammar(
    "go",
    "tree_sitter_go",
    definitions="\n".join(
        [
            *(
                "(method_declaration"
                f" receiver: (parameter_list (parameter_declaration type: {receiver}))"
                " name: (_) @name body: (_)? @body) @definition"
                for receiver in _RECEIVERS
            ),
            named("function_declaration"),
            "(type_spec name: (_) @name) @definition",
            "(type_spec name: (_) @name type: (struct_type (_) @body)) @definition",
            "(type_spec name: (_) @name type: (interface_type . (_) @body)) @definition",
            "(type_alias name: (_) @name) @definition",
            "(method_elem name: (_) @name) @definition",
            "(source_file (const_declaration"
            " (const_spec name: (_) @name value: (_)? @body) @definition))",
            "(source_file (var_declaration"
            " (var_spec name: (_) @name value: (_)? @body) @definition))",
            "(expression_statement (call_expression arguments:"
            " (argument_list . [(interpreted_string_literal) (raw_string_literal)] @key"
            " (func_literal) .))) @definition",
            "(source_file (var_declaration (var_spec_list"
            " (var_spec name: (_) @name value: (_)? @body) @definition)))",
        ]
    ),
    blocks=(
        *("source_file", "block", "statement_list", "const_declaration", "var_spec_list"),
        *("type_declaration", "field_declaration_list", "interface_type", "literal_value"),
        *("expression_case", "default_case", "type_case", "communication_case"),
        *("expression_switch_statement", "argument_list", "import_spec_list"),
    ),
    imports="(import_spec path: (_) @import)",
    begins=r"package\s+\w+$|func\s+(?:\([^()]*\)\s*)?\w+\s*[(\[]|type\s+\w+(?:\[.*\])?\s+(?:struct|interface)\b|import\s+[\"(]",
)
