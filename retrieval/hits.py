"""A list of hits, and hits as plain values: the one JSON shape of Python, CLI and servers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from retrieval.errors import MissingDependency
from retrieval.types import Hit

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

_SHOWN = 300  # characters of a passage in a table

_TEXTS: dict[str, Callable[[Hit], str | None]] = {
    "document_id": lambda hit: hit.document_id,
    "text": lambda hit: hit.text,
    "title": lambda hit: hit.title,
    "path": lambda hit: hit.path,
    "heading": lambda hit: hit.heading,
    "symbol": lambda hit: hit.symbol,
    "context": lambda hit: hit.context,
    "metadata": lambda hit: json.dumps(plain_value(hit.metadata), ensure_ascii=False),
}
_WHOLE: dict[str, Callable[[Hit], int | None]] = {
    "ordinal": lambda hit: hit.passage.ordinal,
    "start": lambda hit: hit.passage.start,
    "end": lambda hit: hit.passage.end,
    "start_line": lambda hit: hit.start_line,
    "end_line": lambda hit: hit.end_line,
    "page": lambda hit: hit.place.page,
    "rank_lexical": lambda hit: hit.ranks.get("lexical"),
    "rank_dense": lambda hit: hit.ranks.get("dense"),
    "rank_late": lambda hit: hit.ranks.get("late"),
}
_FLOATS: dict[str, Callable[[Hit], float | None]] = {
    "score": lambda hit: hit.score,
    "relevance": lambda hit: hit.relevance,
    "score_lexical": lambda hit: hit.scores.get("lexical"),
    "score_dense": lambda hit: hit.scores.get("dense"),
    "score_late": lambda hit: hit.scores.get("late"),
}
_COLUMNS: dict[str, Callable[[Hit], Any]] = {**_TEXTS, **_WHOLE, **_FLOATS}
"""The columns of a table and how each is read from a hit."""


@dataclasses.dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a collection in shards a search saw.

    Attributes:
        shards: how many shards answered.
        of_shards: how many shards hold any passages.
        passages: how many passages the shards that answered hold.
        of_passages: how many passages the whole collection holds.
    """

    shards: int
    of_shards: int
    passages: int
    of_passages: int


class Hits(list[Hit]):
    """The hits of one query, best first: a list that can be displayed and turned into a table.

    Attributes:
        coverage: how much was searched, if that is not everything; else None.
    """

    __slots__ = ("coverage",)

    def __init__(self, hits: Iterable[Hit] = (), coverage: Coverage | None = None) -> None:
        super().__init__(hits)
        self.coverage = coverage

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> Hit: ...
    @overload
    def __getitem__(self, place: slice, /) -> Hits: ...
    def __getitem__(self, place: SupportsIndex | slice, /) -> Hit | Hits:
        """One hit, or `Hits` for a slice."""
        found = super().__getitem__(place)
        return Hits(found, self.coverage) if isinstance(found, list) else found

    def to_dicts(self) -> list[dict[str, Any]]:
        """Each hit as a dict that JSON can represent, with every field and property of `Hit`.

        It is what `retrieval search --json` prints.
        """
        return [hit_as_dict(hit) for hit in self]

    def to_pandas(self) -> pd.DataFrame:
        """The table of `to_arrow`, with the metadata as dicts.

        Raises:
            MissingDependency: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingDependency(
                "a table needs pandas, which is not installed: pip install pandas"
            ) from None
        metadata = {"metadata": [plain_value(hit.metadata) for hit in self]}
        return pd.DataFrame(self._columns() | metadata)

    def to_arrow(self) -> pa.Table:
        """A table with a row for each hit and always the same columns.

        `score_NAME` and `rank_NAME` are those of each retriever, null where it did not see the
        passage; `metadata` is JSON; the passage is given by `ordinal`, `start` and `end`.

        Raises:
            MissingDependency: pyarrow is not installed.
        """
        try:
            import pyarrow as pa
        except ImportError:
            raise MissingDependency(
                "a table of Arrow needs pyarrow, which is not installed: pip install pyarrow"
            ) from None
        kinds = dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_WHOLE, pa.int64())
        return pa.table(
            {
                name: pa.array(values, kinds.get(name, pa.float64()))
                for name, values in self._columns().items()
            }
        )

    def _columns(self) -> dict[str, list[Any]]:
        return {name: [of(hit) for hit in self] for name, of in _COLUMNS.items()}

    def to_polars(self) -> pl.DataFrame:
        """The table of `to_arrow` as a Polars data frame.

        Raises:
            MissingDependency: Polars or pyarrow is not installed.
        """
        try:
            import polars as pl
        except ImportError:
            raise MissingDependency(
                "a table of Polars needs polars, which is not installed: pip install polars pyarrow"
            ) from None
        made = pl.from_arrow(self.to_arrow())
        assert isinstance(made, pl.DataFrame)
        return made

    def _repr_html_(self) -> str:
        """The hits as a table, for notebooks; the words that match are marked."""
        heads = "".join(f"<th>{name}</th>" for name in ("", "document", "passage", "score"))
        rows = "".join(_row(rank, hit) for rank, hit in enumerate(self, start=1))
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def hit_as_dict(hit: Hit) -> dict[str, Any]:
    """A hit with every field and property of `Hit`, as JSON values."""
    shaped: dict[str, Any] = plain_value(hit)
    return shaped | {
        "heading": hit.heading,
        "symbol": hit.symbol,
        "place": plain_value(hit.place),
        "others": [hit_as_dict(other) for other in hit.others],
    }


def plain_value(value: Any) -> Any:
    """The value as JSON can represent it; NaN and infinities, which JSON lacks, become null.

    Dataclasses and named tuples become objects, paths text.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    names = _FIELDS.get(kind)
    if names is None and dataclasses.is_dataclass(kind):
        names = _FIELDS[kind] = tuple(one.name for one in dataclasses.fields(kind))
    if names is not None:
        return {name: plain_value(getattr(value, name)) for name in names}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):  # a named tuple
        return plain_value(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, str | bool | int | None):
        return value
    number = float(value)
    return number if abs(number) < float("inf") else None


_PLAIN = frozenset({str, int, bool, type(None)})
"""The most common types, which are the same in JSON."""


_FIELDS: dict[type, tuple[str, ...]] = {}
"""Field names of the dataclasses seen so far: `fields` takes longer than reading the values."""


def _row(rank: int, hit: Hit) -> str:
    where = escape(hit.path or hit.document_id) + f":{hit.start_line}"
    title = f"<br>{escape(hit.title)}" if hit.title else ""
    cells = (str(rank), where + title, _marked(hit), f"{hit.score:.3f}")
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _marked(hit: Hit) -> str:
    text, parts, at = hit.text[:_SHOWN], [], 0
    for start, end in hit.highlights:
        if at <= start and end <= len(text):
            parts += [escape(text[at:start]), f"<mark>{escape(text[start:end])}</mark>"]
            at = end
    more = "…" if len(hit.text) > len(text) else ""
    return "".join(parts) + escape(text[at:]) + more
