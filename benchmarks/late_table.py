"""Writes the results of the late-interaction benchmarks between two markers of the documentation.

    python benchmarks/late_table.py benchmarks/results docs/benchmarks.md

The folder holds `late_interaction.json` and `late_quality.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from table import markdown_table, provenance

BEGIN, END = "<!-- late: begin -->", "<!-- late: end -->"


def main() -> None:
    """Replace the text between the markers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("page", type=Path)
    args = parser.parse_args()
    speed_result = json.loads((args.results / "late_interaction.json").read_text())
    quality_result = json.loads((args.results / "late_quality.json").read_text())
    before, _, rest = args.page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n".join(
        [
            engines(speed_result),
            filters(speed_result),
            changes(speed_result),
            kernels(speed_result),
            regimes(quality_result),
        ]
    )
    args.page.write_text(f"{before}{BEGIN}\n\n{tables}\n{provenance(speed_result)}\n\n{END}{after}")


def engines(result: Mapping[str, Any]) -> str:
    """The table of every engine and regime by size."""
    head = [
        "engine", "regime", "passages", "Mtokens", "bits", "build s", "p50 ms", "p95 ms",
        "queries/s", "recall@10", "bytes/token", "RSS MB",
    ]  # fmt: skip
    rows = sorted(result["rows"], key=lambda row: (row["passages"], row["engine"] != "ours"))
    body = [
        [
            row["engine"],
            ", ".join(filter(None, [row["regime"], _text_kind(row)])),
            f"{row['passages']:,}",
            f"{row['tokens'] / 1e6:.1f}",
            str(row["bits"]),
            f"{row['build_s']:,.1f}" if "build_s" in row else "",
            f"{row['p50_ms']:.1f}",
            f"{row['p95_ms']:.1f}",
            f"{row['qps']:,.0f}",
            f"{row['recall_at_10']:.3f}",
            f"{row['bytes_per_token']:.1f}",
            f"{row['peak_rss_mb']:,.0f}",
        ]
        for row in rows
    ]
    return markdown_table([head, ["---"] * len(head), *body])


def _text_kind(row: Mapping[str, Any]) -> str:
    """How a row's passages differ from whole passages of real text; empty if they do not."""
    text: str = row["text"]
    return text if text == "synthetic" else text.partition(", ")[2]


def filters(result: Mapping[str, Any]) -> str:
    """The table of filtered searches."""
    unfiltered = {
        (row["regime"], row["passages"]): row
        for row in result["rows"]
        if row["bits"] != 2 and not _text_kind(row)
    }
    body = [
        [
            row["regime"],
            f"{row['passages']:,}",
            f"{row['kept']:.0%}",
            f"{row['p50_ms']:.2f}",
            f"{unfiltered[row['regime'], row['passages']]['p50_ms']:.2f}",
        ]
        for row in result.get("filters", [])
    ]
    head = ["filtered search", "passages", "kept", "p50 ms", "p50 ms without a filter"]
    return markdown_table([head, ["---"] * len(head), *body])


def changes(result: Mapping[str, Any]) -> str:
    """The table of adding to and deleting from a whole index."""
    rows = result.get("changes", [])
    if not rows:
        return ""
    body = [
        [f"{row['passages']:,}", f"{row['add_100_s']:.2f}", f"{row['delete_one_ms']:.1f}"]
        for row in rows
    ]
    head = ["a whole index of passages", "add 100, s", "delete one, ms"]
    return markdown_table([head, ["---"] * len(head), *body])


def kernels(result: Mapping[str, Any]) -> str:
    """The table of the bare kernels, in million passage tokens per second for 32 query tokens."""
    rows = result["kernels"]
    dims = sorted({row["dim"] for row in rows})
    names = dict.fromkeys((row["name"], row["isa"], row["threads"]) for row in rows)
    rates = {
        (row["name"], row["isa"], row["threads"], row["dim"]): f"{row['mtokens_per_s']:.1f}"
        for row in rows
    }
    body = [
        [f"{name}, {isa}", str(threads), *(rates.get((name, isa, threads, d), "") for d in dims)]
        for name, isa, threads in names
    ]
    head = ["kernel, Mtokens/s", "threads", *(f"d = {dim}" for dim in dims)]
    return markdown_table([head, ["---"] * len(head), *body])


def regimes(result: Mapping[str, Any]) -> str:
    """The table of what each regime costs in quality."""
    body = [
        [
            row["name"],
            f"{row['nDCG@10']:.4f}",
            f"{row['recall_at_10']:.3f}",
            f"{row['bytes_per_token']:.1f}",
        ]
        for row in result["rows"]
    ]
    head = [
        f"{result['collection']}, {result['passages']:,} passages", "nDCG@10",
        "recall@10 of float", "bytes/token",
    ]  # fmt: skip
    return markdown_table([head, ["---"] * len(head), *body])


if __name__ == "__main__":
    main()
