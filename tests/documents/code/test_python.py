"""Python by its grammar."""

from __future__ import annotations

import pytest

from tests.documents.code.reading import context_of, contexts, doc, named, parsed, symbols_by_line

TEXT = '''#!/usr/bin/env python
"""Engines and what drives them.

More of it.
"""

from __future__ import annotations

import os.path, json as j
from .motor import Motor

LIMIT: int = 3
"""The most engines."""

# Loads engines.
# All of them.
@cached
@logged(level=3)
class Engine(Motor, metaclass=Meta):
    """One engine."""

    size: int = 0

    def __init__(
        self,
        path: str,  # where it is
        *,
        size: int = 0,
    ) -> None:
        self.path = path

    # A remark.
    @property
    def length(self) -> int:
        """How long it is: \\"\\"\\"quoted."""
        def inner(x):
            class Deep:
                pass
            return x
        return inner(1)

    async def load(self): pass

if os.name == "nt":
    def only_there(): ...

def outside(): return 1
'''


def test_definitions_have_qualified_names_and_signatures() -> None:
    found = parsed(TEXT, "a.py")
    assert named(found.outline) == {
        "LIMIT": "LIMIT: int",
        "Engine": "class Engine(Motor, metaclass=Meta)",
        "Engine.__init__": "def __init__(self, path: str, *, size: int = 0) -> None",
        "Engine.length": "def length(self) -> int",
        "Engine.length.inner": "def inner(x)",
        "Engine.length.inner.Deep": "class Deep",
        "Engine.load": "async def load(self)",
        "only_there": "def only_there()",
        "outside": "def outside()",
    }
    assert {block.language for block in found.outline.blocks} == {"python"}


def test_decorators_and_the_comment_above_are_part_of_a_definition() -> None:
    blocks = {block.name: block for block in parsed(TEXT, "a.py").outline.blocks}
    assert TEXT[blocks["Engine"].start :].startswith("# Loads engines.")
    assert TEXT[blocks["Engine"].end :].startswith('\n\nif os.name == "nt"')
    assert TEXT[blocks["Engine.length"].start :].startswith("# A remark.")
    assert TEXT[blocks["LIMIT"].start : blocks["LIMIT"].end].endswith('most engines."""')


def test_docstrings_document_and_else_the_comment_above() -> None:
    outline = parsed(TEXT, "a.py").outline
    assert doc(outline, TEXT, "Engine") == '"""One engine."""'
    assert doc(outline, TEXT, "Engine.length") == '"""How long it is: \\"\\"\\"quoted."""'
    assert doc(outline, TEXT, "Engine.__init__") == ""
    assert doc(outline, TEXT, "LIMIT") == '"""The most engines."""'
    text = "# One.\n# Two.\ndef f(): pass\n\n# Apart.\n\ndef g(): pass\n"
    assert doc(parsed(text, "a.py").outline, text, "f") == "# One.\n# Two."
    assert doc(parsed(text, "a.py").outline, text, "g") == ""


def test_parts_are_top_level_definitions_and_what_stands_between() -> None:
    starts = [TEXT[part.start :].split("\n")[0] for part in parsed(TEXT, "a.py").outline.parts]
    assert starts == [
        "#!/usr/bin/env python",
        "LIMIT: int = 3",
        "# Loads engines.",
        'if os.name == "nt":',
        "def outside(): return 1",
    ]


def test_title_and_imports() -> None:
    found = parsed(TEXT, "a.py")
    assert found.title == "Engines and what drives them."
    assert found.metadata["imports"] == ["os.path", "json", ".motor"]
    assert found.metadata["language"] == "python"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ('"""Reads files\nand writes them. Slowly.\n"""\nx = 1\n', "Reads files and writes them."),
        ('u"""Utilities for\n\nall"""', ""),
        ("'''Helpers for the tests'''\n", "Helpers for the tests"),
        ('"""utils"""\n', ""),
        ("# -*- coding: utf-8 -*-\n# Copyright 2020 The Authors. All rights.\nx = 1\n", ""),
        ("#!/usr/bin/python\n# Sends the mail of a day.\nimport os\n", "Sends the mail of a day."),
        ("# Copyright 2020 The Authors.\n\n# Sends the daily mail.\nx\n", "Sends the daily mail."),
        (
            "# %% [markdown]\n# # Boats\n# Rents all boats.\n\n# %%\nx = 1\n",
            "Boats Rents all boats.",
        ),
        ("import os\n\n# Not at the top of it.\n", ""),
        ("# a remark on x\nx = 1\n", ""),
        ("", ""),
    ],
)
def test_the_title_is_a_sentence_at_the_top(text: str, title: str) -> None:
    assert parsed(text, "a.py").title == title


def test_python_2_and_text_with_errors_keep_their_definitions() -> None:
    text = 'class A:\n  def f(self, x):\n    print "x", x\n    exec "y" in z\n    raise E, "z"\n'
    assert list(named(parsed(text, "a.py").outline)) == ["A", "A.f"]
    text = "def f(:\n    return 1\n\nclass B:\n    def g(self):\n        return 2\n" + LONG
    assert {"B", "B.g"} <= set(named(parsed(text, "a.py").outline))


LINES = "".join(f"        self.step({at}, value, 'x' * {at})\n" for at in range(30))
LONG = "class Engine:\n    kind = 1\n\n" + "".join(
    f'    def step_{at}(self, value):\n        """Step of kind {at}."""\n\n{LINES}\n'
    for at in range(4)
)


def test_every_passage_of_a_method_of_a_long_class_has_its_name() -> None:
    symbols = symbols_by_line(LONG, "a.py")
    name = "Engine"
    for line, symbol in zip(LONG.split("\n"), symbols, strict=True):
        if line.strip().startswith("def "):
            name = f"Engine.{line.split()[1].partition('(')[0]}"
        if line.startswith("        "):
            assert symbol == name, line
    for text, context in contexts(LONG, "a.py"):
        assert context.signature == f"def {context.symbol.partition('.')[2]}(self, value)"
        assert context.languages == ("python",)
        assert context.defines == tuple(
            name
            for name in ("Engine", *(f"Engine.step_{at}" for at in range(4)))
            if f"def {name.partition('.')[2]}(" in text or f"class {name}:" in text
        )


def test_what_a_span_is_of() -> None:
    inner = context_of(TEXT, "a.py", "pass\n            return x")
    assert inner.symbol == "Engine.length.inner" and inner.defines == ()
    both = context_of(TEXT, "a.py", "def only_there(): ...\n\ndef outside(): return 1")
    assert both.symbol == "" and both.defines == ("only_there", "outside")
    assert context_of(TEXT, "a.py", "import os.path").symbol == ""
    comment = context_of(TEXT, "a.py", "# A remark.\n    @property\n    def length(self) -> int:")
    assert comment.symbol == "Engine.length"
    assert context_of(TEXT, "a.py", "All of them.\n@cached").symbol == "Engine"
    head = TEXT[TEXT.index("class Engine") : TEXT.index("        self.path = path")]
    assert context_of(TEXT, "a.py", head).symbol == "Engine.__init__"
    whole = TEXT[TEXT.index("# A remark.") : TEXT.index("    async def")].strip()
    assert context_of(TEXT, "a.py", whole).symbol == "Engine.length"
    methods = TEXT[TEXT.index("@property") : TEXT.index("\nif os.name")].strip()
    assert context_of(TEXT, "a.py", methods).symbol == "Engine.length"


def test_statements_are_not_cut_in_the_middle() -> None:
    calls = "".join(f"    call_{at}(\n        a, b,\n        c,\n    )\n" for at in range(30))
    for text, _ in contexts(f"def f(a):\n{calls}", "a.py", 40):
        assert text.count("(") == text.count(")")


def test_offsets_count_characters() -> None:
    text = '# Größe — 寸法 🚀\nX = "äöü"\n\ndef größe(ä):\n    """寸法 🚀."""\n    return "🚀"\n'
    outline = parsed(text, "a.py").outline
    assert named(outline) == {"X": "X", "größe": "def größe(ä)"}
    assert doc(outline, text, "größe") == '"""寸法 🚀."""'


@pytest.mark.slow
def test_source_that_nobody_wrote_is_read_by_its_layout() -> None:
    one_line = "x = [" + "1, " * 200_000 + "]\n"
    assert not parsed(f"def f(): pass\n{one_line}", "a.py").outline.blocks
    deep = "".join(f"{' ' * at}def f{at}():\n" for at in range(500)) + " " * 500 + "pass\n"
    assert not parsed(deep, "a.py").outline.blocks
    garbage = "".join(f"{at} %% )( $$ ]] ?? {at}\n" for at in range(1000))
    assert not parsed(garbage, "a.py").outline.blocks
    large = "def f():\n    pass\n" * 100_000
    assert parsed(large, "a.py").outline.blocks == ()


def test_types_with_parameters_are_named_without_them() -> None:
    text = "type Pair[A, B] = tuple[A, B]\ntype Pairs = list[Pair]\n"
    assert named(parsed(text, "pairs.py").outline) == {
        "Pair": "type Pair[A, B]",
        "Pairs": "type Pairs",
    }
