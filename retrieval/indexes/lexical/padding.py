"""An index scored as a part of a collection: padded until its mean lengths are the collection's.

BM25 divides a field's length by its mean over all passages, and tantivy takes that mean from the
index at hand. So a segment of documents that no query finds is added to those of a shard, with as
many words in each field as make the mean that of the collection. The rarity of terms needs no
padding: a boost corrects it.

The padding is never a part of the index: its files are listed in a temporary folder of links, which
    is removed once the index is open.
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

_WORD = "\u2042"  # not a word: folding removes it, so no query asks for it
_META = "meta.json"
_UNLINKED = frozenset({_META, ".managed.json"})
_MOST = 1 << 14
"""With so many documents the means are exact if the rest of the collection has no more passages; in
a larger one they are exact to half a word in all that the padded index contains."""
_HEAP_BYTES = 15_000_000  # tantivy's minimum


@dataclass(frozen=True, slots=True)
class LexicalPart:
    """An index and the collection that it is a part of.

    Attributes:
        own: the index's totals.
        collection: the whole collection's totals.
        padding: a folder that caches the padding between openings, for this index and these totals
            only. It is created if it does not exist.
    """

    own: LexicalTotals
    collection: LexicalTotals
    padding: Path | None = None


@dataclass(frozen=True, slots=True)
class Padding:
    """The padding of an index.

    Attributes:
        collection: the collection's totals.
        documents: how many documents were added.
        counted: how many passages tantivy counts, including them.
    """

    collection: LexicalTotals
    documents: int
    counted: int

    def correction(self, held: int, frequency: int) -> float:
        """The factor from tantivy's weight of a term to the collection's.

        Args:
            held: how many passages of the index contain it.
            frequency: how many passages of the collection do.
        """
        return rarity_of(frequency, self.collection.counted) / rarity_of(held, self.counted)


def lexical_totals(folder: Path) -> LexicalTotals:
    """The totals of the lexical index in `folder`.

    Token counts are computed from mean lengths, which tantivy has in single precision.

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
    """Add the padding to a folder of links, so that mean lengths become the collection's."""
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
    """Add a segment of so many documents, with so many words in each field.

    It is written elsewhere: a writer in `place` would merge the other segments.

    Args:
        kept: where it is cached.
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
    """Link a segment's files into a folder of links."""
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
    """How many passages BM25 counts: all in the segments, deleted ones too."""
    return sum(int(segment["max_doc"]) for segment in _meta(place)["segments"])


def _meta(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = parsed((place / _META).read_bytes())
    return found


def _value(explanation: Mapping[str, Any], name: str) -> float:
    """The value of this name in tantivy's explanation of a score."""
    left = [explanation]
    while left:
        one = left.pop()
        if str(one["description"]).startswith(name):
            return float(one["value"])
        left += one.get("details", ())
    raise ValueError(f"tantivy's explanation lacks {name}")
