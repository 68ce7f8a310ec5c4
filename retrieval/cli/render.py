"""Results as text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.cli.explanation import matched, table
from retrieval.cli.snippet import snippet
from retrieval.cli.style import Style, safe
from retrieval.documents.formats.languages import CODE
from retrieval.service.location import shown

if TYPE_CHECKING:
    from retrieval.index import CompactReport, IndexStatus, MeasureReport
    from retrieval.sync import SyncReport
    from retrieval.types import Hit, LateOptions, TokenMatch

_INDENT = 4
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def hits(
    found: Sequence[Hit],
    index: Path,
    style: Style,
    matches: Sequence[Sequence[TokenMatch]] | None = None,
) -> str:
    """Search results: a line of where, score, title and who found it, then the snippet.

    Args:
        found: best first.
        index: the index folder, which paths are stored relative to.
        style: of the stream that this is for.
        matches: for each hit what the query's tokens matched: shown below it, and marked in the
            snippet instead of the query's words.
    """
    wide = len(str(len(found)))
    parts = []
    for place, hit in enumerate(found):
        pairs = None if matches is None else matches[place]
        marks = hit.highlights if pairs is None else matched(pairs) or hit.highlights
        part = _hit(f"{place + 1:{wide}}", hit, marks, index, style)
        parts.append(part if pairs is None else part + table(pairs, style))
    return "\n".join(parts)


def _hit(rank: str, hit: Hit, marks: Sequence[tuple[int, int]], index: Path, style: Style) -> str:
    prose = hit.metadata.get("language") not in CODE
    excerpt = snippet(hit.text, marks, style.width - _INDENT, prose=prose)
    parts = [
        rank,
        style.dress("path", safe(_where(hit, index, excerpt.start))),
        f"{hit.score:.3f}",
        style.dress("title", safe(_shortened(hit.title, style.width // 2))),
        style.dress("faint", _finders(hit.ranks)),
    ]
    lines = ["  ".join(part for part in parts if part)]
    for row in excerpt.rows:
        dressed = [style.dress("mark", p.text) if p.marked else p.text for p in row]
        lines.append(" " * _INDENT + "".join(dressed))
    return "\n".join(lines) + "\n"


def _where(hit: Hit, index: Path, start: int) -> str:
    """`path:line` of what is shown, or the id of a document that is no file."""
    if hit.path is None:
        return hit.document_id
    line = hit.metadata.get("line")  # of a record among many in one file
    if not isinstance(line, int):
        line = hit.start_line + hit.text.count("\n", 0, start)
    return f"{shown(index, hit.path)}:{line}"


def _finders(ranks: Mapping[str, int]) -> str:
    return f"({', '.join(f'{name} {rank}' for name, rank in sorted(ranks.items()))})"


def _shortened(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def synced(report: SyncReport, index: Path) -> str:
    """What `retrieval index` did, in one line."""
    changes = [
        f"{number:,} {name}"
        for name, number in (
            ("added", report.added),
            ("updated", report.updated),
            ("deleted", report.deleted),
            ("unchanged", report.unchanged),
        )
        if number
    ]
    work = ""
    if report.passages:
        rate = f" ({report.tokens / report.seconds:,.0f} tokens/s)" if report.seconds > 0 else ""
        work = (
            f"; {count(report.passages, 'passage')}, {count(report.tokens, 'token')}"
            f" in {duration(report.seconds)}{rate}"
        )
    return f"{safe(str(index))}: {', '.join(changes) or 'no documents'}{work}\n"


def status(report: IndexStatus) -> str:
    """What an index holds, one fact a line."""
    dead = f", {count(report.dead_passages, 'deleted one')} still on disk"
    source = f" ({report.encoder_source})" if report.encoder_source else ""
    widths = {"dense": report.dense_dim, "token": report.token_dim}
    vectors = [f"{name} of {dim}" for name, dim in widths.items() if dim is not None]
    ways = [f"{count(n, 'passage')} {name}" for name, n in report.regimes.items()]
    rows = {
        "index": f"{report.path} (format {report.format_version}, generation {report.generation})",
        "documents": f"{report.documents:,} from {count(report.files, 'file')}",
        "passages": f"{report.passages:,} of at most {count(report.passage_tokens, 'token')}"
        + (dead if report.dead_passages else ""),
        "segments": f"{report.segments:,}",
        "size": size(report.bytes),
        "encoder": f"{report.encoder}{source}",
        "vectors": ", ".join(vectors),
        "late": "; ".join([", ".join(ways), _late(report.late), *_loss(report)] if ways else []),
        "fingerprint": report.fingerprint[:12],
    }
    if not ways:
        del rows["late"]
    return "".join(f"{name:<12} {safe(value)}\n" for name, value in rows.items())


def _loss(report: IndexStatus) -> list[str]:
    """What compression loses, if anything is compressed."""
    if report.late_error is None or report.late_trained_error is None:
        return []
    return [
        f"error {report.late_error:.1%} of the squared length, {report.late_trained_error:.1%} "
        "when the centroids were trained"
    ]


def _late(options: LateOptions) -> str:
    pooled = f", pooling {options.pooling}" if options.pooling > 1 else ""
    return (
        f"{options.bits} bits beyond {options.exact_passages:,}, "
        f"lists beyond {options.list_passages:,}{pooled}"
    )


def measured(report: MeasureReport, ndcg: Mapping[str, float] | None) -> str:
    """What `retrieval measure` found, one fact a line; `ndcg` by ranking."""
    ways = ", ".join(f"{number:,} {name}" for name, number in report.regimes.items())
    origin = "drawn from the passages" if report.drawn else "given"
    k, depth = f"recall@{report.k}", f"recall@{report.depth}"
    rows = [
        ("queries", f"{report.queries:,} {origin}"),
        ("passages", f"{report.passages:,} ({ways})"),
        ("tokens", f"{report.tokens:,} of {report.bytes_per_token:.1f} bytes"),
        (k, f"{report.recall_at_k:.3f} of an exhaustive search of the stored vectors"),
    ]
    if report.depth != report.k:
        rows.append((depth, f"{report.recall_at_depth:.3f} of the same"))
    rows.append(
        (k, f"{report.float_recall_at_k:.3f} of exact vectors, for its {report.depth:,} best")
    )
    if ndcg is not None:
        values = ", ".join(f"{name} {value:.4f}" for name, value in ndcg.items())
        rows.append(("nDCG@10", values))
    rows += [
        ("search", f"{report.p50_ms:.1f} ms, 95 % within {report.p95_ms:.1f} ms"),
        (
            "exhaustive",
            f"{report.exhaustive_p50_ms:.1f} ms, 95 % within {report.exhaustive_p95_ms:.1f} ms",
        ),
    ]
    return "".join(f"{name:<12} {value}\n" for name, value in rows)


def compacted(report: CompactReport) -> str:
    """What `retrieval compact` did, in one line."""
    return (
        f"{count(report.segments_before, 'segment')} became {report.segments_after:,}, "
        f"{size(report.bytes_before)} became {size(report.bytes_after)}; "
        f"{count(report.dropped_passages, 'deleted passage')} dropped\n"
    )


def count(number: int, noun: str) -> str:
    """`1 file`, `2,000 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """Bytes in the unit that leaves up to three digits: `940 bytes`, `1.2 MB`."""
    value, unit = float(number), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    if unit == 0:
        return count(number, "byte")
    return f"{value:.1f} {_UNITS[unit]}" if value < 9.95 else f"{value:.0f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def listing(title: str, lines: Sequence[str], most: int = 20) -> str:
    """Lines under a title; what is beyond `most` is only counted."""
    body = [textwrap.indent(safe(line), "  ") for line in lines[:most]]
    if len(lines) > most:
        body.append(f"  and {len(lines) - most:,} more; --json lists all")
    return "\n".join([title, *body]) + "\n"
