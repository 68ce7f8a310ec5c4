"""Bash by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds

TEXT = """\
#!/usr/bin/env bash
# Drives the engines of a shop.
set -euo pipefail

LIMIT=3

# Loads it.
load() {
  local path=$1
  if [[ -f $path ]]; then
    cat "$path"
  fi
}

function run {
  for name in "$@"; do
    load "$name"
  done
}

run "$@"
"""


def test_bash_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "engine.sh",
        definitions=[
            ("load", "load()"),
            ("run", "function run"),
        ],
        docs={
            "load": "# Loads it.",
        },
        parts=[
            "#!/usr/bin/env bash",
            "# Loads it.",
            "function run {",
            'run "$@"',
        ],
        title="Drives the engines of a shop.",
    )
