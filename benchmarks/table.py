"""Markdown tables of results, and the line that says where they were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def provenance(result: Mapping[str, Any]) -> str:
    """Date, commit, machine and package versions of a result, in one line."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"{result['date'][:10]}, commit {result['commit'][:10]}, {machine['cores']} cores of "
        f"{machine['cpu']}, {machine['memory_gb']} GB; {versions}."
    )


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as the lines of a Markdown table."""
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)
