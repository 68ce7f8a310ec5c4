"""PHP without its tag, such as one function."""

from dataclasses import replace

from retrieval.documents.formats.code.languages import php

GRAMMAR = replace(
    php.GRAMMAR,
    entry="language_php_only",
    transparent=("namespace_definition",),
    otherwise=(),
    mark="",
    begins=r"""(?x)
    (?:(?:public|private|protected|static|final|abstract)\s+)*function\s+&?\w+\s*\(.*\$
    | (?:final\s+|abstract\s+)?(?:class|interface|trait)\s+\w+
    """,
)
