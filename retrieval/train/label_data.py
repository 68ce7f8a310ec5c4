"""Texts with labels, from CSV and JSON lines: labels of whole texts, or of entities in them."""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.encoders.words import OUTSIDE, Entity, tags_of, word_spans
from retrieval.errors import InputError
from retrieval.files.given import StrPath
from retrieval.files.stored_json import parsed

_TEXT, _LABEL = ("text", "sentence", "content"), ("label", "class", "category")
_EXPECTED = (
    "a text and a label (CSV or JSON lines), or in JSON lines a text and entities, each with "
    "start, end and label, or tokens and tags"
)
Words = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts with labels to learn.

    Attributes:
        labels: one per text; empty if words have tags.
        words: (start, end) of each word of each text; empty if texts have labels.
        tags: the tag of each word.
        notes: what was changed while reading, with counts.
    """

    name: str
    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    words: tuple[Words, ...] = ()
    tags: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def by_token(self) -> bool:
        """Whether words have tags."""
        return bool(self.words)

    @property
    def names(self) -> tuple[str, ...]:
        """All labels, most frequent first; for tags `O`, then B- and I- of each entity label."""
        if not self.by_token:
            counts = Counter(self.labels)
            return tuple(sorted(counts, key=lambda one: (-counts[one], one)))
        kinds = sorted({tag[2:] for own in self.tags for tag in own if tag != OUTSIDE})
        return (OUTSIDE, *(f"{place}-{kind}" for kind in kinds for place in "BI"))

    def part(self, places: Sequence[int]) -> Labelled:
        """Some of the texts."""

        def some(values: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(values[at] for at in places) if values else ()

        return Labelled(
            self.name,
            some(self.texts),
            some(self.labels),
            some(self.words),
            some(self.tags),
            self.notes,
        )


def read_labelled(path: StrPath) -> Labelled:
    """Read a file.

    Raises:
        InputError: a line cannot be used (the line is named), or the file has no texts.
    """
    path = Path(path)
    texts: list[str] = []
    labels: list[str] = []
    words: list[Words] = []
    tags: list[tuple[str, ...]] = []
    blank = off = 0
    for line, row in _rows(path):
        where = f"{path}:{line}"
        if "tokens" in row or "entities" in row:
            text, own, found, moved = _tagged(row, where)
            words.append(own)
            tags.append(found)
            off += moved
        else:
            text, label = _field(row, _TEXT, where), _field(row, _LABEL, where)
            if not text.strip() or not label.strip():
                blank += 1
                continue
            labels.append(label)
        texts.append(text)
        if labels and words:
            raise InputError(f"{where}: has entities, and lines before it labels; give one kind")
    if not texts:
        raise InputError(f"{path}: no text with a label; expected {_EXPECTED}")
    notes = []
    if blank:
        notes.append(f"{blank:,} lines without a text or a label left out")
    if off:
        notes.append(f"{off:,} entities begin or end within a word; the whole word is used")
    return Labelled(path.stem, tuple(texts), tuple(labels), tuple(words), tuple(tags), tuple(notes))


def divided(data: Labelled, share: float, seed: int) -> tuple[Labelled, Labelled]:
    """Training data and a held-out share: the same share of each label, chosen by the seed."""
    groups: dict[str, list[int]] = {}
    for at in range(len(data)):
        groups.setdefault(data.labels[at] if data.labels else "", []).append(at)
    held: set[int] = set()
    drawn = random.Random(seed)
    for _, places in sorted(groups.items()):
        drawn.shuffle(places)
        held.update(places[: round(share * len(places))])
    learnt = [at for at in range(len(data)) if at not in held]
    return data.part(learnt), data.part(sorted(held))


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each row with its line number; a BOM is skipped."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                reader = csv.DictReader(file, strict=True)
                for record in reader:
                    yield reader.line_num, record
                return
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _object(line, f"{path}:{number}")
    except (UnicodeDecodeError, csv.Error) as wrong:
        raise InputError(f"{path}: cannot be read ({wrong}); expected {_EXPECTED}") from None
    except OSError as wrong:
        raise InputError(f"{path}: cannot be read ({wrong.strerror or wrong})") from None


def _object(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = parsed(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise InputError(f"{where}: not a JSON object; expected {_EXPECTED}")
    return row


def _field(row: Mapping[str, Any], names: Sequence[str], where: str) -> str:
    name = next((one for one in names if row.get(one) is not None), None)
    if name is None:
        found = ", ".join(map(str, list(row)[:6])) or "nothing"
        raise InputError(f"{where}: has {found}; expected {_EXPECTED}")
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{where}: {name} is {value!r}; expected a text")
    return str(value)


def _tagged(row: Mapping[str, Any], where: str) -> tuple[str, Words, tuple[str, ...], int]:
    """A text, its words, their tags, and how many entities had to be moved to whole words."""
    if "tokens" in row:
        return (*_from_tokens(row, where), 0)
    text = _field(row, _TEXT, where)
    entities = [_entity(one, text, where) for one in _list(row["entities"], "entities", where)]
    spans = word_spans(text)
    edges = {a for a, _ in spans}, {b for _, b in spans}
    moved = sum(one.start not in edges[0] or one.end not in edges[1] for one in entities)
    return text, tuple(spans), tuple(tags_of(spans, entities)), moved


def _from_tokens(row: Mapping[str, Any], where: str) -> tuple[str, Words, tuple[str, ...]]:
    tokens = [str(token) for token in _list(row["tokens"], "tokens", where)]
    name = next((one for one in ("tags", "ner_tags") if one in row), "tags")
    tags = [str(tag) for tag in _list(row.get(name), name, where)]
    if len(tokens) != len(tags):
        raise InputError(f"{where}: {len(tokens)} tokens and {len(tags)} tags; expected as many")
    wrong = next((tag for tag in tags if tag != OUTSIDE and tag[:2] not in ("B-", "I-")), None)
    if wrong is not None:
        raise InputError(f"{where}: tag {wrong!r}; expected O, or B- or I- and a label")
    words, start = [], 0
    for token in tokens:
        words.append((start, start + len(token)))
        start += len(token) + 1
    return " ".join(tokens), tuple(words), tuple(tags)


def _entity(value: Any, text: str, where: str) -> Entity:
    try:
        found = Entity(int(value["start"]), int(value["end"]), str(value["label"]))
    except (TypeError, KeyError, ValueError):
        raise InputError(f"{where}: entity {value!r}; expected start, end and label") from None
    if not 0 <= found.start < found.end <= len(text):
        raise InputError(
            f"{where}: entity from {found.start} to {found.end} of a text of {len(text)} characters"
        )
    return found


def _list(value: Any, name: str, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{where}: {name} is {str(value)[:40]!r}; expected a list")
    return value
