"""An index scored as a part of a collection: padded until its mean lengths are the collection's.

BM25 takes a field's length in proportion to its mean over all passages, and tantivy takes that mean
of the index at hand. So beside the segments of a shard stands one of documents that no query finds,
with as many words in each field as make the mean the collection's. How rare a term is needs none of
that: a boost makes up for it.

The padding is never a part of the index: its files are named in a temporary folder of links, which
goes when the index is open.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.files.stored_json import parsed
from retrieval.files.whole import PART, link, move_whole
from retrieval.indexes.lexical.fields import (
    PRESENT,
    create,
    names,
    opened,
    read_failure,
    write_failure,
)
from retrieval.indexes.lexical.segments import emptied_after
from retrieval.indexes.lexical.statistics import LexicalTotals, rarity_of

_WORD = "\u2042"  # no word: folding leaves nothing of it, so no query asks for it
_META = "meta.json"
_UNLINKED = frozenset({_META, ".managed.json"})
_MOST = 1 << 14
"""So many documents make the means exact where the collection has no more passages beside the
index's own; in a larger one they are exact to half a word in all that the padded index holds."""
_HEAP_BYTES = 15_000_000  # tantivy's least


@dataclass(frozen=True, slots=True)
class LexicalPart:
    """An index and the collection that it is a part of.

    Attributes:
        own: the totals of the index.
        collection: the totals of the whole.
        padding: a folder that the padding is kept in from one opening to the next; of this index
            and these totals alone. It is made if it is not there.
    """

    own: LexicalTotals
    collection: LexicalTotals
    padding: Path | None = None


@dataclass(frozen=True, slots=True)
class Padding:
    """What was added to an index.

    Attributes:
        collection: the totals that it is scored by.
        documents: how many were added.
        counted: how many passages tantivy counts with them.
    """

    collection: LexicalTotals
    documents: int
    counted: int

    def correction(self, held: int, frequency: int) -> float:
        """What tantivy's weight of a term is multiplied by to be the collection's.

        Args:
            held: how many passages of the index hold it.
            frequency: how many of the collection.
        """
        return rarity_of(frequency, self.collection.counted) / rarity_of(held, self.counted)


def lexical_totals(folder: Path) -> LexicalTotals:
    """What the passages of the lexical index in `folder` amount to.

    The tokens of a field are those of its mean length, which tantivy keeps in single precision.

    Raises:
        IndexCorrupted: it cannot be read.
        IndexFormatError: another release wrote it.
    """
    import tantivy

    with read_failure(folder), linked(folder) as place:
        before = _counted(place)
        index = opened(place, origin=folder)
        searcher = index.searcher()
        passages = int(searcher.num_docs)
        holders = {name: int(searcher.doc_freq(PRESENT, name)) for name in names()}
        _add(place, 1, dict.fromkeys(names(), 1))
        index = opened(place, origin=folder)
        searcher = index.searcher()
        tokens = {}
        for name in names():
            query = tantivy.Query.term_query(index.schema, name, _WORD, "freq")
            ((_, address),) = searcher.search(query, limit=1).hits
            mean = _value(json.loads(query.explain(searcher, address).to_json()), "avgdl")
            tokens[name] = round(mean * (before + 1)) - 1
        return LexicalTotals(passages, before, tokens, holders)


def pad(place: Path, part: LexicalPart) -> Padding:
    """Add to a folder of links what makes the index's mean lengths those of its collection."""
    own, collection = part.own, part.collection
    means = {name: collection.tokens[name] / max(1, collection.counted) for name in names()}
    lacking = [own.tokens[name] / mean - own.counted for name, mean in means.items() if mean]
    least = math.ceil(max([0.0, *lacking]))
    documents = max(0, min(collection.counted - own.counted, max(least, _MOST)))
    counted = own.counted + documents
    if documents:
        words = {name: round(means[name] * counted) - own.tokens[name] for name in names()}
        lacking_words = {name: count for name, count in words.items() if count > 0}
        _add(place, documents, lacking_words, part.padding)
    return Padding(collection, documents, counted)


@contextmanager
def linked(folder: Path) -> Iterator[Path]:
    """A temporary folder with links to the files of a tantivy index, and its own list of them."""
    with emptied_after(Path(tempfile.mkdtemp())) as place:
        for file in sorted(folder.iterdir()):
            if file.name in _UNLINKED:
                shutil.copyfile(file, place / file.name)
            elif file.is_file() and file.suffix != ".lock":
                (place / file.name).symlink_to(file.absolute())
        yield place


def _add(place: Path, documents: int, words: Mapping[str, int], kept: Path | None = None) -> None:
    """Put a segment of so many documents, with so many words in each field, beside the others.

    It is written elsewhere: a writer here would merge the others as it sees fit.

    Args:
        kept: where it is from an earlier time, or is to be for a later one.
    """
    if kept is not None and kept.is_dir():
        _link(place, kept)
        return
    with write_failure(place), emptied_after(Path(tempfile.mkdtemp())) as elsewhere:
        _write(elsewhere, documents, words)
        if kept is None:
            _link(place, elsewhere)
            return
        part = Path(tempfile.mkdtemp(dir=kept.parent, prefix=f"{kept.name}.", suffix=PART))
        try:
            for file in _segment_files(elsewhere):
                shutil.copyfile(file, part / file.name)
            with suppress(OSError):  # another process may have kept it a moment earlier
                move_whole(part, kept)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        _link(place, kept)


def _write(folder: Path, documents: int, words: Mapping[str, int]) -> None:
    """Write the segment into an empty folder."""
    import tantivy

    index = create(folder)
    writer = index.writer(heap_size=_HEAP_BYTES, num_threads=1)
    first = tantivy.Document()
    for name, count in words.items():
        first.add_text(name, f"{_WORD} " * count)
    writer.add_document(first)
    for _ in range(documents - 1):
        writer.add_document(tantivy.Document())
    writer.commit()
    writer.wait_merging_threads()


def _link(place: Path, source: Path) -> None:
    """Name a segment's files in a folder of links."""
    for file in _segment_files(source):
        if file.name != _META:
            link(file, place / file.name)
    meta, added = _meta(place), _meta(source)
    meta["segments"] += added["segments"]
    (place / _META).write_text(json.dumps(meta), encoding="utf-8")


def _segment_files(folder: Path) -> list[Path]:
    names = (".managed.json",)
    return [f for f in folder.iterdir() if f.name not in names and f.suffix != ".lock"]


def _counted(place: Path) -> int:
    """How many passages BM25 counts: all that the segments hold, deleted ones too."""
    return sum(int(segment["max_doc"]) for segment in _meta(place)["segments"])


def _meta(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = parsed((place / _META).read_bytes())
    return found


def _value(explanation: Mapping[str, Any], name: str) -> float:
    """The value of what tantivy's explanation of a score calls by this name."""
    left = [explanation]
    while left:
        one = left.pop()
        if str(one["description"]).startswith(name):
            return float(one["value"])
        left += one.get("details", ())
    raise ValueError(f"tantivy does not say {name}")
