"""YAML by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds

TEXT = """\
# Where the engines run.
services:
  web:
    image: engine
    ports:
      - "80:80"

  # Keeps them.
  "db":
    image: store
    command: |
      run --all
      stop
list: [1, 2]
---
other:
  key: 1
"""


def test_yaml_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "engines.yaml",
        definitions=[
            ("services", ""),
            ("services.web", ""),
            ("services.web.ports", ""),
            ("services.db", ""),
            ("services.db.command", ""),
            ("other", ""),
        ],
        docs={
            "services": "# Where the engines run.",
            "services.db": "# Keeps them.",
        },
        parts=[
            "# Where the engines run.",
            "list: [1, 2]",
            "---",
        ],
        title="Where the engines run.",
    )
