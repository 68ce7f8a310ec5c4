"""Results of commands, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.cli.output.amounts import count, duration, size
from retrieval.service.printable import safe

if TYPE_CHECKING:
    from retrieval.index import CompactReport, IndexStatus, MeasureReport
    from retrieval.service.machine import Choice
    from retrieval.sharded import BuildReport, ShardedStatus
    from retrieval.sharded.clearing import ClearReport
    from retrieval.sync import SyncReport
    from retrieval.types import LateOptions


def synced(report: SyncReport, index: Path, documents: int = 0) -> str:
    """What `retrieval index` did, in one line.

    Args:
        report: of that.
        index: the folder.
        documents: how many the index holds now, of which nothing may have been looked at.
    """
    work = ""
    if documents and not (report.changed or report.unchanged):
        return f"{safe(str(index))}: nothing read, {count(documents, 'document')} as before\n"
    if report.passages:
        rate = f" ({report.tokens / report.seconds:,.0f} tokens/s)" if report.seconds > 0 else ""
        work = (
            f"; {count(report.passages, 'passage')}, {count(report.tokens, 'token')}"
            f" in {duration(report.seconds)}{rate}"
        )
    return f"{safe(str(index))}: {_changes(report, moved=report.moved)}{work}\n"


def built(report: BuildReport, url: str) -> str:
    """What `retrieval index` did to a collection, in one line."""
    return (
        f"{safe(url)}: {_changes(report)}; generation {report.generation}, "
        f"{size(report.sent)} sent in {duration(report.seconds)}\n"
    )


def _changes(report: SyncReport | BuildReport, moved: int = 0) -> str:
    """Numbers of documents added, updated and so on."""
    numbers = {
        "added": report.added,
        "updated": report.updated,
        "moved": moved,
        "deleted": report.deleted,
        "unchanged": report.unchanged,
    }
    told = [f"{number:,} {name}" for name, number in numbers.items() if number]
    return ", ".join(told) or "no documents"


def cleared(report: ClearReport, url: str) -> str:
    """What `retrieval compact` deleted of a collection, in one line."""
    return f"{safe(url)}: {count(report.objects, 'object')} deleted, {size(report.bytes)}\n"


def collection(report: ShardedStatus) -> str:
    """The status of a collection in shards, one fact per line."""
    source = f" ({report.encoder_source})" if report.encoder_source else ""
    widths = {"dense": report.dense_dim, "token": report.token_dim}
    late = "compressed by a codec that all shards share" if report.codec else "exact"
    held = report.documents_by_shard
    dead = f"; {count(report.deleted_passages, 'deleted one')} that BM25 counts until compacted"
    rows = {
        "collection": f"{report.url} (generation {report.generation})",
        "shards": f"{report.shards:,}, of {min(held):,} to {count(max(held), 'document')}",
        "documents": f"{report.documents:,}",
        "passages": f"{report.passages:,} of at most {count(report.passage_tokens, 'token')}"
        + (dead if report.deleted_passages else ""),
        "size": size(report.bytes),
        "encoder": f"{report.encoder}{source}",
        "vectors": ", ".join(f"{name} of {dim}" for name, dim in widths.items() if dim is not None),
        "late": late if report.token_dim is not None else "",
        "fingerprint": report.fingerprint[:12],
    }
    return "".join(f"{name:<12} {safe(value)}\n" for name, value in rows.items() if value)


def status(report: IndexStatus) -> str:
    """The status of an index, one fact per line."""
    dead = f", {count(report.dead_passages, 'deleted one')} still on disk"
    source = f" ({report.encoder_source})" if report.encoder_source else ""
    widths = {"dense": report.dense_dim, "token": report.token_dim}
    vectors = [f"{name} of {dim}" for name, dim in widths.items() if dim is not None]
    ways = [f"{count(n, 'passage')} {name}" for name, n in report.regimes.items()]
    rows = {
        "index": f"{report.path} (format {report.format_version}, generation {report.generation})",
        "documents": f"{report.documents:,} from {count(report.files, 'file')}",
        "passages": f"{report.passages:,} of at most {count(report.passage_tokens, 'token')}"
        + (", read with their neighbours" if report.long_context else "")
        + (dead if report.dead_passages else ""),
        "segments": f"{report.segments:,}",
        "size": _sizes(report),
        "encoder": f"{report.encoder}{source}",
        "vectors": ", ".join(vectors),
        "late": "; ".join([", ".join(ways), _late(report.late), *_loss(report)] if ways else []),
        "fingerprint": report.fingerprint[:12],
    }
    if not ways:
        del rows["late"]
    return "".join(f"{name:<12} {safe(value)}\n" for name, value in rows.items())


def _sizes(report: IndexStatus) -> str:
    """The index's size, and that of each non-empty part, largest first."""
    parts = sorted(report.bytes_by_part.items(), key=lambda part: -part[1])
    each = ", ".join(f"{name} {size(number)}" for name, number in parts if number)
    return f"{size(report.bytes)}: {each}"


def machine(choices: Sequence[Choice]) -> str:
    """What each job runs on, one line each, followed by why not on the alternatives."""
    lines = []
    for one in choices:
        lines.append(f"{one.job:<27} {safe(one.used)}")
        lines += [f"  not {name:<21} {safe(why)}" for name, why in one.why_not.items()]
    return "\n".join(lines) + "\n"


def _loss(report: IndexStatus) -> list[str]:
    """The compression error, if anything is compressed."""
    if report.late_error is None or report.late_trained_error is None:
        return []
    return [
        f"error {report.late_error:.1%} of the squared length, {report.late_trained_error:.1%} "
        "when the centroids were trained"
    ]


def _late(options: LateOptions) -> str:
    pooled = f", pooling {options.pooling}" if options.pooling > 1 else ""
    if pooled and options.pooling_distance is not None:
        pooled += f" to a distance of {options.pooling_distance:g}"
    exact = "" if options.exact_passages is None else f" beyond {options.exact_passages:,}"
    later = ", 2 bits once there are many" if options.bits is None else ""
    return f"{options.bits or 4} bits{exact}{later}, lists beyond {options.list_passages:,}{pooled}"


def measured(report: MeasureReport, ndcg: Mapping[str, float] | None) -> str:
    """The result of `retrieval measure`, one fact per line; `ndcg` by ranking."""
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
    if report.dense_recall_at_k is not None:
        found = f"{k} {report.dense_recall_at_k:.3f} of an exhaustive search"
        times = f"{report.dense_p50_ms:.1f} ms, 95 % within {report.dense_p95_ms:.1f} ms"
        rows.append(("dense", f"{found}; {times}"))
    found = f"{k} {report.hybrid_recall_at_k:.3f} of an exhaustive search"
    times = f"{report.hybrid_p50_ms:.1f} ms, 95 % within {report.hybrid_p95_ms:.1f} ms"
    rows.append(("hybrid", f"{found}; {times}"))
    return "".join(f"{name:<12} {value}\n" for name, value in rows)


def compacted(report: CompactReport) -> str:
    """What `retrieval compact` did, in one line."""
    return (
        f"{count(report.segments_before, 'segment')} became {report.segments_after:,}, "
        f"{size(report.bytes_before)} became {size(report.bytes_after)}; "
        f"{count(report.dropped_passages, 'deleted passage')} dropped\n"
    )
