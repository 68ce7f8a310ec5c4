"""Write the results of a benchmark into the docs, as tables between two markers.

python benchmarks/table.py benchmarks/results/main_job.json docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def main() -> None:
    """Replace what stands between the markers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("page", type=Path)
    arguments = parser.parse_args()
    before, _, rest = arguments.page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = render(json.loads(arguments.results.read_text()))
    arguments.page.write_text(f"{before}{BEGIN}\n{tables}{END}{after}")


def render(result: Mapping[str, Any]) -> str:
    """Two Markdown tables: quality by collection and system, and what indexing cost."""
    rows = result["rows"]
    systems = list(dict.fromkeys(row["system"] for row in rows))
    collections = list(dict.fromkeys(row["collection"] for row in rows))
    quality = {(row["collection"], row["system"]): row for row in rows}
    head = [["nDCG@10", *systems], ["---"] * (len(systems) + 1)]
    body = [
        [f"{name} ({quality[name, systems[0]]['queries']} queries)"]
        + [f"{quality[name, system]['nDCG@10']:.3f}" for system in systems]
        for name in collections
    ]
    costs = [row for row in rows if "index_s" in row]
    cost_head = [["indexing", "documents", "tokens", "seconds", "tokens/s"], ["---"] * 5]
    cost_body = [
        [
            f"{row['collection']}, {row['system'].partition('/')[0]}",
            f"{row['documents']:,}",
            f"{row['tokens']:,}",
            f"{row['index_s']:.1f}",
            f"{row['tokens_per_s']:,}",
        ]
        for row in costs
    ]
    return f"\n{table(head + body)}\n{table(cost_head + cost_body)}\n{where(result)}\n\n"


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


if __name__ == "__main__":
    main()
