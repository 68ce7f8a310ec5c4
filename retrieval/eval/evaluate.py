"""An evaluation: every system on every collection, resumed where it was stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from retrieval.errors import InputError, RetrievalError
from retrieval.eval.datasets import Collection, collections_in, load
from retrieval.eval.identical import ignores
from retrieval.eval.measures import MEASURES, check_measures
from retrieval.eval.measuring import Measuring, Meter, units
from retrieval.eval.results import (
    Results,
    Texts,
    forget_texts,
    read_run,
    write_results,
    write_texts,
)
from retrieval.eval.sampling import sampled
from retrieval.eval.summary import SystemOutcome, depth_of, summarised
from retrieval.eval.systems.run_file import RunFile
from retrieval.eval.systems.system import System, title_and_text
from retrieval.files.claim import claimed
from retrieval.files.given import Paths, StrPath, names_of
from retrieval.numeric import is_whole, plain_number
from retrieval.types import ProgressCallback

DEPTH = 100
TIMED_QUERIES = 100
"""So many queries are timed, one by one."""

SHOWN = 10
"""So many documents of each ranking are kept for reports, and this many characters of each."""

SHOWN_CHARACTERS = 4000


def evaluate(
    sources: Paths,
    systems: Sequence[System],
    out: StrPath,
    *,
    split: str | None = None,
    measures: Sequence[str] = MEASURES,
    k: int = DEPTH,
    queries: int | None = None,
    ignore_identical_ids: bool | None = None,
    keep_texts: bool = True,
    progress: ProgressCallback | None = None,
) -> Results:
    """Run every system on every collection and measure it.

    What is done is written to `out` at once: run it again after an interruption, and it goes on;
    what was done under another protocol is done again. A collection or a system that fails is
    named in `failed`, and the others go on.

    Args:
        sources: folders, or names that ir-datasets knows, or one.
        systems: their names differ.
        out: the folder of results, made if need be.
        split: of the judgements; None is each collection's own.
        measures: as ir-measures names them.
        k: how many documents are retrieved for each query, at least; a collection may have a
            depth of its own.
        queries: of each collection at most so many are asked, always the same; None is all.
        ignore_identical_ids: drop a document whose id is the query's own from the query's ranking,
            and retrieve one more; None does so where a query is a document, by id and words.
        keep_texts: keep texts of queries and documents beside the results, for reports; if not,
            those that were kept before go.
        progress: called with what is done of all collections and systems, documents indexed and
            queries answered; `stage` says which collection and system, and what they are at.

    Raises:
        InputError: nothing is to be done, a measure is not known, or every collection failed.
        IndexLocked: another process evaluates into the same folder.
        MissingDependency: ir-measures is not installed.
    """
    sources, out = names_of(sources), Path(out)
    _check(sources, systems, measures, k, queries)
    k, queries = plain_number(k), plain_number(queries)
    with claimed(out):
        failed: dict[str, str] = {}
        collections = [sampled(one, queries) for one in _load(sources, split, failed)]
        pairs = _pairs(collections, systems, failed)
        meter = Meter(sum(units(collection) for collection, _ in pairs), progress)
        found: dict[str, dict[str, SystemOutcome]] = {}
        ignoring: dict[str, bool] = {}
        results = None
        for collection in collections:
            ignoring[collection.name] = ignores(collection, ignore_identical_ids)
            alone = ignoring[collection.name]
            depth = depth_of(collection, k)
            work = Measuring(collection, out, tuple(measures), depth, alone, meter)
            found[collection.name] = {}
            own = [system for of, system in pairs if of is collection]
            for system in own:
                try:
                    found[collection.name][system.name] = work.run(system)
                except Exception as wrong:  # whatever it is, the others are not to be lost
                    _fail(failed, collection.name, f"{system.name}: {_line(wrong)}")
                    meter.add(units(collection))
            for system in own:
                system.close()
            try:
                if not keep_texts:
                    forget_texts(out, collection.name)
                elif found[collection.name]:
                    _keep_texts(collection, out, found[collection.name])
            except (RetrievalError, OSError) as wrong:
                _fail(failed, collection.name, f"texts for the report: {_line(wrong)}")
            results = summarised(collections, found, measures, k, failed, ignoring)
            write_results(out, results)
        if results is None or not results.rows:
            raise InputError("nothing could be measured: " + "; ".join(_failures(failed)))
        return results


def _check(
    sources: Sequence[str],
    systems: Sequence[System],
    measures: Sequence[str],
    k: int,
    queries: int | None,
) -> None:
    if not sources:
        raise InputError("no collection was given; give a folder or a name")
    if not systems:
        raise InputError("no system was given; give a retriever or a system")
    if not all(hasattr(one, "identity") for one in systems):
        raise InputError(f"{systems!r:.60} are no systems; give what `make_systems` makes")
    if isinstance(measures, str):
        raise InputError(f"one measure, {measures!r}, was given; give a list of them")
    if not measures:
        raise InputError("no measure was given; give one such as nDCG@10")
    if not is_whole(k) or k < 1:
        raise InputError(f"k must be a whole number of at least 1, not {k!r}")
    if queries is not None and (not is_whole(queries) or queries < 1):
        raise InputError(f"queries must be a whole number of at least 1, not {queries!r}")
    check_measures(measures)


def _load(sources: Sequence[str], split: str | None, failed: dict[str, str]) -> list[Collection]:
    found: dict[str, Collection] = {}
    for source in (part for given in sources for part in collections_in(given)):
        try:
            for collection in load(source, split):
                if collection.name in found:
                    raise InputError(
                        f"two collections are named {collection.name!r}; rename a folder, or "
                        "evaluate them into different folders"
                    )
                found[collection.name] = collection
        except Exception as wrong:  # whatever it is, the others are not to be lost
            failed[source] = _line(wrong)
    return list(found.values())


def _pairs(
    collections: Sequence[Collection], systems: Sequence[System], failed: dict[str, str]
) -> list[tuple[Collection, System]]:
    """What is to be run: a run file only where it has answers.

    Raises:
        InputError: a run file has none. Where a collection failed, it may be that one's, and is
            named among what failed.
    """
    pairs = []
    for system in systems:
        fit = [c for c in collections if not isinstance(system, RunFile) or system.answers(c)]
        if collections and not fit:
            names = ", ".join(collection.name for collection in collections)
            said = f"run {system.name!r} answers no query of {names}"
            if not failed:
                raise InputError(f"{said}; give the run of one of these collections")
            _fail(failed, system.name, said)
        pairs += [(collection, system) for collection in fit]
    return pairs


def _keep_texts(collection: Collection, out: Path, found: Mapping[str, SystemOutcome]) -> None:
    """The texts of the queries, and of the documents that a system ranks high or that answer."""
    shown = {d for grades in collection.judgements.values() for d, g in grades.items() if g > 0}
    for system in found:
        for best in read_run(out, collection.name, system, SHOWN).values():
            shown.update(document for document, _ in best)
    documents = {}
    for document in collection.documents:
        if document.id in shown:
            documents[document.id] = title_and_text(document)[:SHOWN_CHARACTERS]
    write_texts(out, collection.name, Texts(collection.queries, documents, collection.judgements))


def _fail(failed: dict[str, str], name: str, why: str) -> None:
    """Put one more reason to those that the collection has."""
    failed[name] = f"{failed[name]}; {why}" if name in failed else why


def _failures(failed: Mapping[str, str]) -> list[str]:
    return [f"{name} ({message})" for name, message in failed.items()]


def _line(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, RetrievalError) else f"{type(error).__name__}: {said}"
