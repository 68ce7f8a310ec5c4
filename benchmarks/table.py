"""What every table of a benchmark's results has: rows as Markdown, and where they were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def where(result: Mapping[str, Any]) -> str:
    """Date, commit, machine and versions, in a line."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"{result['date'][:10]}, commit {result['commit'][:10]}, {machine['cores']} cores of "
        f"{machine['cpu']}, {machine['memory_gb']} GB; {versions}."
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows as Markdown."""
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)
