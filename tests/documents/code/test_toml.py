"""TOML by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds

TEXT = """\
# What the engines need.
title = "engines"

[tool.ruff]
line-length = 100

# Which rules.
[tool.ruff.lint]
select = [
  "E",
  "F",
]

[[package]]
name = "wheel"

[package."a.b"]
x = 1
"""


def test_toml_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "engines.toml",
        definitions=[
            ("tool.ruff", ""),
            ("tool.ruff.lint", ""),
            ("tool.ruff.lint.select", ""),
            ("package", ""),
            ('package."a.b"', ""),
        ],
        docs={
            "tool.ruff.lint": "# Which rules.",
        },
        parts=[
            "# What the engines need.",
            "[tool.ruff]",
            "# Which rules.",
            "[[package]]",
            '[package."a.b"]',
        ],
        title="What the engines need.",
    )
