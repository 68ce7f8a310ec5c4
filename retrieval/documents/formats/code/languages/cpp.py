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
    (field_declaration_list (declaration declarator: {_FUNCTIONS}) @definition)
    """,
    blocks=(*c.BLOCKS, "try_statement"),
    transparent=(*c.TRANSPARENT, "namespace_definition"),
    imports="(preproc_include path: (_) @import)",
    begins=r"""(?x)
    \#\s*(?:include\s*[<"]|define\s+\w|if(?:n?def)?\s)
    | template\s*< | namespace\s+[\w:]+\s*\{ | (?:class|struct)\s+\w+(?:\s*:.*)?\s*\{?$
    | (?=[^;]*\{)(?!(?:function|def|fun|func|public|private)\b)
      (?:(?:static|extern|inline|const|constexpr|virtual|explicit|unsigned)\s+)*
      [\w:]+(?:<.*>)?[ *&]+[\w:~<>]+\s*\([^;.\n]*[{(,)]$
    | \w+::~?\w+\(
    """,
)
