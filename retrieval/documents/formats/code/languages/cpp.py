"""C++, CUDA included."""

from retrieval.documents.formats.code.grammar import Grammar, named
from retrieval.documents.formats.code.languages import c

_FUNCTIONS = """[
    (function_declarator)
    (pointer_declarator (function_declarator))
    (reference_declarator (function_declarator))
] @declarator"""

GRAMMAR = Grammar(
    "cpp",
    "tree_sitter_cpp",
    definitions=f"""
    {c.DEFINITIONS}
    {named("class_specifier", "concept_definition")}
    (alias_declaration name: (_) @name type: (_) @body) @definition
    (field_declaration declarator: {_FUNCTIONS}) @definition
    ((field_declaration (storage_class_specifier) @_static
        declarator: (field_identifier) @name default_value: (_) @body) @definition
        (#eq? @_static "static"))
    (field_declaration_list (declaration declarator: {_FUNCTIONS}) @definition)
    (field_declaration_list
        (template_declaration (declaration declarator: {_FUNCTIONS}) @definition))
    ((expression_statement (call_expression
        function: (identifier) @_macro
        arguments: (argument_list . (string_literal (string_content) @key)))) @definition
        . (compound_statement) @rest
        (#match? @_macro "^(TEST_CASE|SUBCASE|SECTION|SCENARIO|GIVEN|WHEN|THEN)"))
    """,
    blocks=(*c.BLOCKS, "try_statement"),
    macros=rf"""{c.MACROS}
      | ^[ \t]* ((?:Q_SIGNALS|signals)[ \t]*:) [ \t]*\r?$
      | ^[ \t]* (?:public|protected|private) ([ \t]+(?:Q_SLOTS|slots)) [ \t]*:
      | ^[ \t]* (export) (?=\s*\{{ | \s+[^\W\d] | \s*\[\[) (?!\s+(?:import|module)\b)
    """,
    directives=r"""(?x)
    ^[ \t]* ((?:export[ \t]+)?
      (?: import (?:[ \t]+(?P<named>:?[ \t]*\w[\w.:]*)
                  | [ \t]*(?P<quoted>\"[^\"\r\n]+\")
                  | [ \t]*(?P<header><[^<>\r\n]+>))
        | module (?:[ \t]+\w[\w.]*)? (?:[ \t]*:[ \t]*\w[\w.]*)? )
      [ \t]* (?:\[\[[^\]\r\n]*\]\][ \t]*)? ;)
    """,
    transparent=(*c.TRANSPARENT, "namespace_definition"),
    imports="(preproc_include path: (_) @import)",
    begins=r"""(?x)
    \#\s*(?:include\s*[<"]|define\s+\w|if(?:n?def)?\s)
    | export\s+module\s+\w | template\s*< | namespace\s+[\w:]+\s*\{
    | (?:class|struct)\s+\w+(?:\s*:.*)?\s*\{?$
    | (?=[^;]*\{)(?!(?:function|def|fun|func|public|private)\b)
      (?:(?:static|extern|inline|const|constexpr|virtual|explicit|unsigned)\s+)*
      [\w:]+(?:<.*>)?[ *&]+[\w:~<>]+\s*\([^;.\n]*[{(,)]$
    | \w+::~?\w+\(
    """,
)
