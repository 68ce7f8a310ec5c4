"""JSON by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds

TEXT = """\
{
  "name": "engines",
  "engines": {
    "steam": {
      "size": 3,
      "parts": [
        {"name": "wheel"},
        {"name": "axle"}
      ]
    },
    "diesel": {"size": 4}
  }
}
"""


def test_json_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "engines.json",
        definitions=[
            ("engines", ""),
            ("engines.steam", ""),
            ("engines.steam.parts", ""),
        ],
        parts=[
            "{",
            '"engines": {',
        ],
    )
