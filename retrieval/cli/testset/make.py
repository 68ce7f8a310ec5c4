"""`retrieval eval make`: a test set of your own, from an index."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval.cli.output.json_output import print_json
from retrieval.cli.output.progress import progress_bar
from retrieval.cli.output.style import Style
from retrieval.cli.standard_input import next_line
from retrieval.cli.testset.judge import judge_in_terminal
from retrieval.errors import InputError
from retrieval.eval.plural import plural
from retrieval.eval.testset import (
    Judging,
    Log,
    Proposed,
    TestSet,
    Wanted,
    Written,
    check_folder,
    pools,
    propose,
    read_log,
    read_queries,
    typed,
)
from retrieval.files.claim import claimed
from retrieval.index import Index, IndexStatus
from retrieval.service.json_shape import plain_value
from retrieval.service.printable import safe
from retrieval.types import RETRIEVERS, Retriever

STANDARD_INPUT = Path("-")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where queries come from, according to the options."""

    query: Sequence[str]
    queries: Path | None
    log: Path | None
    min_clicks: int
    propose: int | None
    seed: int

    @property
    def none(self) -> bool:
        """Whether no source is given."""
        return not (self.query or self.queries or self.log or self.propose)


@dataclass(slots=True)
class _Outcome:
    """The results of a run, for the summary."""

    new: int = 0
    known: int = 0
    log: Log | None = None
    proposed: Proposed | None = None
    judged: int = 0
    skipped: int = 0
    warnings: list[str] = field(default_factory=list)


def make_test_set(
    folder: Path,
    index: Path,
    sources: Sources,
    *,
    judge: bool,
    depth: int,
    retrievers: Sequence[str] | None,
    encoder: str | None,
    as_json: bool,
) -> None:
    """Add queries to the test set at `folder`, write it, judge if requested, and print a summary.

    Args:
        retrievers: retrievers whose documents are judged; None is all of the index's.
        encoder: where to load the encoder; None is where the index was built with it.
    """
    terminal = sys.stdin.isatty()
    if judge and sources.queries == STANDARD_INPUT and not terminal:
        raise InputError(
            "standard input cannot give both queries and judgements; "
            "give the queries with --queries FILE"
        )
    done = _Outcome()
    with Index.open(index, encoder=encoder) as opened:
        chosen = _retrievers(retrievers, opened.status())
        check_folder(folder)  # before putting a lock into someone else's folder
        with claimed(folder):
            made = TestSet(folder, opened)
            added = made.add(_wanted(made, opened, sources, done, ask=not judge))
            done.new, done.known = len(added.new), added.known
            options = plain_value(sources) | {"judge": judge, "depth": depth, "retrievers": chosen}
            with progress_bar("writing") as bar:
                written = made.write(options, progress=bar)
            done.warnings += _about_documents(written)
            if judge:
                _judge(made, opened, chosen, depth, sources.seed, done)
        _print(made, written, done, as_json)


def _wanted(
    made: TestSet, index: Index, sources: Sources, done: _Outcome, *, ask: bool
) -> list[Wanted]:
    """The queries of all given sources."""
    found = typed(sources.query)
    if len(found) < len(sources.query):
        raise InputError("--query is empty; give what a user would ask")
    if sources.queries == STANDARD_INPUT or (sources.none and ask):
        found += typed(_from_input())
    elif sources.queries is not None:
        found += read_queries(sources.queries)
    if sources.log is not None:
        done.log = read_log(
            sources.log, lambda id: index.get(id) is not None, min_clicks=sources.min_clicks
        )
        found += done.log.queries
        done.warnings += _about_log(done.log, sources.min_clicks)
    if sources.propose is not None:
        with progress_bar("reading") as bar:
            proposed = propose(
                made.documents(),
                sources.propose,
                seed=sources.seed,
                progress=bar,
                total=index.status().documents,
            )
        done.proposed = proposed
        found += proposed.queries
        if len(proposed.queries) < sources.propose:
            done.warnings.append(
                f"only {len(proposed.queries)} of {sources.propose} queries proposed: "
                "the documents have no more"
            )
    if not found and not made.queries:
        raise InputError("no query was given; give some with --query, --queries, --log, --propose")
    return found


def _from_input() -> Iterator[str]:
    """Lines of standard input; a terminal is prompted for each, until an empty one."""
    terminal = sys.stdin.isatty()
    while True:
        if terminal:
            sys.stderr.write("query (empty to end): ")
            sys.stderr.flush()
        line = next_line()
        if not line or (terminal and not line.strip()):
            return
        yield line


def _judge(
    made: TestSet,
    index: Index,
    retrievers: Sequence[Retriever],
    depth: int,
    seed: int,
    done: _Outcome,
) -> None:
    texts = {query.id: query.text for query in made.queries.values()}
    found = pools(index, texts, retrievers, depth=depth, seed=seed, also=made.journal.documents)
    try:
        judging = Judging(found, made.journal)
        judge_in_terminal(judging, list(texts), on_query=made.write_judgements)
        done.judged, done.skipped = judging.judged, judging.skipped
    finally:
        made.write_judgements()


def _retrievers(given: Sequence[str] | None, status: IndexStatus) -> list[Retriever]:
    lacking = {"dense": status.dense_dim is None, "late": status.token_dim is None}
    there = [name for name in RETRIEVERS if not lacking.get(name)]
    unknown = next((name for name in given or () if name not in there), None)
    if unknown is not None:
        raise InputError(
            f"retriever {unknown!r} is not in the index; choose from {', '.join(there)}"
        )
    return [name for name in there if not given or name in given]


def _about_log(log: Log, least: int) -> list[str]:
    said = []
    if log.unknown:
        said.append(
            plural(
                len(log.unknown),
                "document that was clicked is not in the index",
                "documents that were clicked are not in the index",
            )
            + f" (such as {log.unknown[0]!r}); such clicks do not count"
        )
    if log.rare:
        pairs = plural(log.rare, "pair has", "pairs have")
        said.append(f"{pairs} fewer than {least} clicks, without a judgement")
    if log.left_out:
        queries = plural(log.left_out, "query of the log has", "queries of the log have")
        said.append(f"{queries} no click that counts; left out")
    return said


def _about_documents(written: Written) -> list[str]:
    said = []
    if written.added or written.changed or written.gone:
        said.append(
            f"the index has changed since: {plural(written.added, 'document', 'documents')} added, "
            f"{written.changed:,} changed, {written.gone:,} gone; results from before cannot be "
            "compared"
        )
    if written.judged_gone:
        said.append(
            plural(written.judged_gone, "judged document is gone", "judged documents are gone")
            + "; relevant documents that are gone count as not found"
        )
    return said


def _print(made: TestSet, written: Written, done: _Outcome, as_json: bool) -> None:
    grades = made.journal.grades()
    judged = [id for id in made.queries if id in grades]
    relevant = [id for id in judged if max(grades[id].values()) > 0]
    facts: dict[str, Any] = {
        "folder": made.folder,
        "queries": len(made.queries),
        "added": done.new,
        "known": done.known,
        "judged_queries": len(judged),
        "queries_with_relevant": len(relevant),
        "judgements": sum(len(grades[id]) for id in judged),
        "judged_now": done.judged,
        "skipped_now": done.skipped,
        "documents": written.documents,
        "corpus": {"added": written.added, "changed": written.changed, "gone": written.gone},
        "log": None
        if done.log is None
        else {
            "queries": len(done.log.queries),
            "clicks": done.log.clicks,
            "unknown": len(done.log.unknown),
            "rare": done.log.rare,
            "left_out": done.log.left_out,
        },
        "proposed": None
        if done.proposed is None
        else {
            "queries": len(done.proposed.queries),
            "found": done.proposed.found,
            "ambiguous": done.proposed.ambiguous,
        },
        "warnings": done.warnings,
    }
    if as_json:
        print_json(facts)
        return
    sys.stderr.write("".join(f"{safe(line)}\n" for line in done.warnings))
    sys.stdout.write(_summary(facts, len(made.queries) - len(judged), Style.of(sys.stdout)))


def _summary(facts: dict[str, Any], unjudged: int, style: Style) -> str:
    folder = safe(str(facts["folder"]))
    counts = (
        f"{plural(facts['queries'], 'query', 'queries')} ({facts['added']:,} new), "
        f"{plural(facts['judgements'], 'judgement', 'judgements')}, "
        f"{plural(facts['documents'], 'document', 'documents')}"
    )
    lines = [f"{style.dress('title', folder)}: {counts}"]
    if unjudged:
        queries = plural(unjudged, "query has", "queries have")
        lines.append(f"{queries} no judgement and would not be asked: --judge")
    if facts["queries_with_relevant"]:
        lines.append(f"measure with: retrieval eval {folder} --out results")
    return "".join(f"{line}\n" for line in lines)
