"""In each language: every passage of a method of a long class has its name and its signature."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from retrieval.documents.formats.code.languages import grammar_of, known
from tests.documents.code.reading import contexts, parsed, symbols_by_line

METHODS = ("load", "store", "start", "halt")


@dataclass(frozen=True)
class Written:
    """How a class is written; `{}` is for a method's name or a statement's number."""

    file: str
    opens: str
    method: str
    statement: str
    ends: str
    closes: str
    signature: str
    prefix: str = "Engine."


LANGUAGES = {
    "bash": Written(
        "a.sh", "set -e", "{}() {{", '  step {} "$value"', "}}", "", "{}()", prefix=""
    ),
    "c": Written(
        "a.c", "#include <a.h>", "int {}(int value)\n{{", "  step(value, {});", "}}", "",
        "int {}(int value)", prefix="",
    ),
    "cpp": Written(
        "a.cpp", "class Engine {\n public:", "  int {}(int value) {{", "    step(value, {});",
        "  }}", "};", "int {}(int value)",
    ),
    "csharp": Written(
        "a.cs", "namespace X {\npublic class Engine {", "  int {}(int value) {{",
        "    Step(value, {});", "  }}", "}\n}", "int {}(int value)",
    ),
    "go": Written(
        "a.go", "package a\n\ntype Engine struct{}\n", "func (e *Engine) {}(value int) {{",
        "\te.step(value, {})", "}}", "", "func (e *Engine) {}(value int)",
    ),
    "java": Written(
        "A.java", "public class Engine {", "  int {}(int value) {{", "    step(value, {});",
        "  }}", "}", "int {}(int value)",
    ),
    "javascript": Written(
        "a.js", "class Engine {", "  {}(value) {{", "    this.step(value, {});", "  }}", "}",
        "{}(value)",
    ),
    "kotlin": Written(
        "a.kt", "class Engine {", "  fun {}(value: Int): Int {{", "    step(value, {})", "  }}",
        "}", "fun {}(value: Int): Int",
    ),
    "lua": Written(
        "a.lua", "local Engine = {}", "function Engine.{}(value)", "  step(value, {})", "end",
        "return Engine", "function Engine.{}(value)",
    ),
    "php": Written(
        "a.php", "<?php\nclass Engine {", "  function {}($value) {{", "    step($value, {});",
        "  }}", "}", "function {}($value)",
    ),
    "python": Written(
        "a.py", "class Engine:", "    def {}(self, value):", "        self.step(value, {})", "",
        "", "def {}(self, value)",
    ),
    "ruby": Written(
        "a.rb", "class Engine", "  def {}(value)", "    step(value, {})", "  end", "end",
        "def {}(value)",
    ),
    "rust": Written(
        "a.rs", "impl Engine {", "    fn {}(&self, value: u8) {{", "        step(value, {});",
        "    }}", "}", "fn {}(&self, value: u8)",
    ),
    "scala": Written(
        "A.scala", "class Engine {", "  def {}(value: Int) = {{", "    step(value, {})", "  }}",
        "}", "def {}(value: Int)",
    ),
    "swift": Written(
        "a.swift", "class Engine {", "    func {}(value: Int) {{", "        step(value, {})",
        "    }}", "}", "func {}(value: Int)",
    ),
    "typescript": Written(
        "a.ts", "export class Engine {", "  {}(value: number): void {{",
        "    this.step(value, {});", "  }}", "}", "{}(value: number): void",
    ),
}  # fmt: skip


def source(how: Written, statements: int = 40) -> str:
    lines = [how.opens]
    for method in METHODS:
        lines += ["", *how.method.format(method).split("\n")]
        lines += [how.statement.format(at) for at in range(statements)]
        lines += how.ends.format().split("\n")
    return "\n".join([*lines, how.closes]).rstrip() + "\n"


def test_every_language_of_code_is_tried() -> None:
    data = {"css", "json", "php_only", "sql", "toml", "tsx", "yaml"}
    assert known() - data <= set(LANGUAGES)
    for language in known():
        assert grammar_of(language) is not None


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_passage_of_a_long_method_has_its_name(language: str) -> None:
    how = LANGUAGES[language]
    text = source(how)
    assert parsed(text, how.file).metadata["language"] == language
    step = how.statement.partition("{}")[0]
    expected = [f"{how.prefix}{method}" for method in METHODS for _ in range(40)]
    symbols = symbols_by_line(text, how.file)
    lines = text.split("\n")
    assert [s for s, line in zip(symbols, lines, strict=True) if line.startswith(step)] == expected
    signatures = {f"{how.prefix}{m}": how.signature.replace("{}", m) for m in METHODS}
    for piece, context in contexts(text, how.file):
        if step.strip() in piece:
            assert context.signature == signatures[context.symbol]
            assert context.languages == (language,)


@pytest.mark.parametrize("language", LANGUAGES)
def test_methods_begin_passages_and_statements_are_whole(language: str) -> None:
    how = LANGUAGES[language]
    pieces = [piece for piece, _ in contexts(source(how), how.file)]
    begun = [piece.split("\n")[0].strip() for piece in pieces]
    heads = [how.method.format(method).split("\n")[0].strip() for method in METHODS]
    assert all(any(line == head for line in begun) for head in heads[1:])
    for piece in pieces:
        assert piece.count("(") == piece.count(")")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_short_class_stays_whole(language: str) -> None:
    how = LANGUAGES[language]
    text = source(how, statements=2)
    pieces = contexts(text, how.file, max_tokens=1000)
    assert [piece for piece, _ in pieces] == [text.strip()]
    assert {f"{how.prefix}{method}" for method in METHODS} <= set(pieces[0][1].defines)
