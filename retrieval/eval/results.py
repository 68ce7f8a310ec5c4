"""What an evaluation found, and under which protocol; kept as JSON.

A folder of results holds `results.json`, a TREC run for each collection and system in `runs/`, the
texts that a report shows in `texts/` (if they may be kept), `report.html` and `report.md`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from retrieval.errors import InputError
from retrieval.eval.datasets.run_files import unescape_id
from retrieval.eval.typed_json import MisfitError, decoded
from retrieval.files.whole import write_whole

SCHEMA_VERSION = 1
RESULTS = "results.json"

PerQuery = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]
"""Value by measure, by query id, by system, by collection."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Row:
    """The mean of one measure over the judged queries of a collection.

    Attributes:
        low: lower end of the mean's 95 % confidence interval; None where there is none.
        high: its upper end.
        queries: how many queries the mean is of.
    """

    collection: str
    split: str
    system: str
    measure: str
    value: float
    low: float | None
    high: float | None
    queries: int


@dataclass(frozen=True, slots=True)
class Efficiency:
    """What a system cost on a collection; None where it does not apply or was not measured.

    Attributes:
        build_s: seconds to encode and index the collection; None where that was there already.
        tokens_per_s: tokens encoded a second while building; None where build_s is.
        qps: queries answered a second, one after the other unless the protocol says otherwise.
        p50_ms: median time of one query, in milliseconds.
        peak_rss_mb: largest resident memory of the process, in megabytes.
    """

    collection: str
    system: str
    build_s: float | None = None
    tokens_per_s: float | None = None
    index_bytes_per_document: float | None = None
    qps: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    peak_rss_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Protocol:
    """What exactly was run on a collection.

    Attributes:
        queries: how many were asked.
        judged_queries: how many of them have judgements.
        text: how a document's title and text were joined.
        passage_tokens: the length that documents were cut to; None where they were not cut.
        max_tokens: the length beyond which an encoder drops text; None where nothing is dropped.
        prompts: what was put before a query or a document, by a name such as `query`.
        aggregation: how passages' scores became documents', such as `MaxP`.
        ties: how documents of equal score were ordered.
        unjudged: what was done with queries that have no judgements.
        dataset_sha256: over documents, queries and judgements as they were read.
        systems: what each system did, in words, by its name.
        identical_ids: what was done with a document whose id is the query's own.
    """

    collection: str
    split: str
    documents: int
    queries: int
    judged_queries: int
    text: str
    passage_tokens: int | None
    max_tokens: int | None
    prompts: Mapping[str, str]
    aggregation: str
    ties: str
    unjudged: str
    dataset_sha256: str
    warnings: tuple[str, ...] = ()
    systems: Mapping[str, str] = field(default_factory=dict)
    identical_ids: str = "kept"


@dataclass(frozen=True, slots=True)
class Results:
    """All that an evaluation found.

    Attributes:
        created: when, as ISO 8601.
        machine: facts about the machine, such as `cpu`, `cores`, `memory`.
        versions: version by package.
        per_query: value by measure, by query id, by system, by collection.
        failed: why a collection has no results, by collection.
    """

    created: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    rows: tuple[Row, ...]
    efficiency: tuple[Efficiency, ...]
    protocols: tuple[Protocol, ...]
    per_query: PerQuery
    failed: Mapping[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    @property
    def collections(self) -> tuple[str, ...]:
        """Names in the order of the rows."""
        return tuple(dict.fromkeys(row.collection for row in self.rows))

    @property
    def systems(self) -> tuple[str, ...]:
        """Names in the order of the rows."""
        return tuple(dict.fromkeys(row.system for row in self.rows))

    @property
    def measures(self) -> tuple[str, ...]:
        """Names in the order of the rows."""
        return tuple(dict.fromkeys(row.measure for row in self.rows))

    def protocol(self, collection: str) -> Protocol | None:
        """The collection's protocol, if it has one."""
        return next((p for p in self.protocols if p.collection == collection), None)


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of one collection, for reports that stay with who may read them.

    Attributes:
        queries: text by query id.
        documents: text, or its beginning, by document id; only those that a run ranks high.
        judgements: grade by document id, by query id.
    """

    queries: Mapping[str, str]
    documents: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, int]]


_OF_THE_TASK = {
    "split": "split",
    "documents": "number of documents",
    "queries": "number of queries",
    "judged_queries": "number of judged queries",
    "text": "text that was indexed",
    "aggregation": "aggregation of passages",
    "ties": "order of ties",
    "identical_ids": "treatment of documents with the query's own id",
    "unjudged": "queries without judgements",
    "dataset_sha256": "checksum of the data",
}
_OF_THE_SYSTEM = {
    "passage_tokens": "tokens of a passage",
    "max_tokens": "maximum tokens",
    "prompts": "prompts",
}


def comparable(a: Protocol, b: Protocol) -> list[str]:
    """Why results under two protocols cannot be compared; empty where they can.

    Prompts and lengths are a system's own choice and no reason: see `settings_that_differ`.
    """
    if a.collection != b.collection:
        return [f"the collection differs: {a.collection} and {b.collection}"]
    return _differences(a, b, _OF_THE_TASK)


def settings_that_differ(a: Protocol, b: Protocol) -> list[str]:
    """What differs in the systems' own settings: worth knowing, no bar to a comparison."""
    return _differences(a, b, _OF_THE_SYSTEM)


def _differences(a: Protocol, b: Protocol, names: Mapping[str, str]) -> list[str]:
    pairs = ((said, getattr(a, name), getattr(b, name)) for name, said in names.items())
    return [f"the {said} differs: {_shown(x)} and {_shown(y)}" for said, x, y in pairs if x != y]


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return json.dumps(dict(value), ensure_ascii=False)
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def run_path(folder: Path, collection: str, system: str) -> Path:
    """Where a run is kept: `runs/<collection>.<system>.trec`."""
    # Only a system's name may hold dots, so that no two pairs share a file.
    return folder / "runs" / f"{file_name(collection)}.{file_name(system, dots=True)}.trec"


def file_name(name: str, *, dots: bool = False) -> str:
    """A name as part of a file's name; one that had to be changed gets a checksum against clashes.

    `beir/scifact` becomes `beir_scifact-` and six hexadecimal digits.
    """
    plain = re.sub(r"[^\w.@+-]" if dots else r"[^\w@+-]", "_", name, flags=re.ASCII)[:80]
    if plain == name and not name.startswith(".") and name:
        return name
    return f"{plain.lstrip('.')}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def write_results(folder: Path, results: Results) -> None:
    """Write `results.json`, whole or not at all.

    Raises:
        InputError: a figure is NaN or infinite, which JSON does not know.
    """
    _check_finite(results)
    _write(folder / RESULTS, dataclasses.asdict(results))


def read_results(folder: Path) -> Results:
    """Read a folder that `write_results` wrote.

    Raises:
        InputError: there are no results, they are damaged, or a newer release wrote them.
    """
    path = folder / RESULTS
    if not path.is_file():
        raise InputError(f"no {RESULTS} in {folder}: expected a folder that an evaluation wrote")
    data = _read(path)
    version = data.get("schema_version") if isinstance(data, dict) else None
    if type(version) is not int or version < 1:
        raise InputError(f"{path} is damaged: schema_version is {version!r}, expected a number")
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema version {version}, this release reads up to {SCHEMA_VERSION}: "
            "update modernbert-retrieval"
        )
    return _guarded(path, Results, data, "results")


def write_texts(folder: Path, collection: str, texts: Texts) -> None:
    """Keep the texts that a report of the collection shows."""
    _write(_texts_path(folder, collection), dataclasses.asdict(texts))


def forget_texts(folder: Path, collection: str) -> None:
    """Take away what an earlier evaluation kept of the collection's texts."""
    _texts_path(folder, collection).unlink(missing_ok=True)


def read_texts(folder: Path, collection: str) -> Texts | None:
    """The texts of a collection, or None where none were kept.

    Raises:
        InputError: the file is damaged.
    """
    path = _texts_path(folder, collection)
    if not path.is_file():
        return None
    data = _read(path)
    return _guarded(path, Texts, data, "texts")


def read_run(
    folder: Path, collection: str, system: str, depth: int
) -> dict[str, list[tuple[str, float]]]:
    """The best documents of each query of a run, ordered as trec_eval orders them.

    Returns:
        Up to `depth` pairs of document id and score, best first, by query id; empty where the
        folder has no such run. Ids are those of the collection, white space included.

    Raises:
        InputError: a line is not `query Q0 document rank score name`.
    """
    path = run_path(folder, collection, system)
    if not path.is_file():
        return {}
    found: dict[str, list[tuple[str, float]]] = {}
    with path.open(encoding="utf-8", errors="surrogatepass") as lines:
        for number, line in enumerate(lines, 1):
            parts = line.split()
            try:
                query, _, document, _, said, _ = parts
                query, document = unescape_id(query), unescape_id(document)
                score = float(said)
                if math.isnan(score):
                    raise ValueError
                found.setdefault(query, []).append((document, score))
            except ValueError:
                raise InputError(
                    f"{path}:{number}: expected `query Q0 document rank score name`, "
                    f"found {line.strip()[:80]!r}"
                ) from None
    # trec_eval holds scores in single precision: what is equal there is a tie.
    with np.errstate(over="ignore"):
        for ranked in found.values():
            ranked.sort(key=lambda pair: (np.float32(pair[1]), pair[0]), reverse=True)
            del ranked[depth:]
    return found


def _texts_path(folder: Path, collection: str) -> Path:
    return folder / "texts" / f"{file_name(collection)}.json"


def _check_finite(results: Results) -> None:
    figures: list[tuple[str, float | None]] = [
        (f"{row.measure} of {row.system} on {row.collection}", number)
        for row in results.rows
        for number in (row.value, row.low, row.high)
    ]
    for collection, systems in results.per_query.items():
        for system, queries in systems.items():
            for query, values in queries.items():
                said = f"{system} on query {query} of {collection}"
                figures += [(f"{measure} of {said}", number) for measure, number in values.items()]
    for cost in results.efficiency:
        for name, number in dataclasses.asdict(cost).items():
            if isinstance(number, float):
                figures.append((f"{name} of {cost.system} on {cost.collection}", number))
    for said, figure in figures:
        if figure is not None and not math.isfinite(figure):
            raise InputError(f"{said} is {figure}: expected a finite number")


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1)
    write_whole(path, text + "\n", errors="surrogatepass")


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    except (OSError, ValueError, RecursionError) as wrong:
        raise InputError(
            f"{path} cannot be read: {' '.join(str(wrong).split())}; run the evaluation again"
        ) from None


def _guarded(path: Path, kind: type[_T], data: Any, where: str) -> _T:
    try:
        return decoded(kind, data, where)
    except MisfitError as wrong:
        raise InputError(f"{path} is damaged: {wrong}; run the evaluation again") from None
