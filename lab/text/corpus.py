"""Training text as token ids: read from JSONL records, split into windows, batched by tokens."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import CheckpointError, DocumentError
from retrieval.ragged import offsets_of
from retrieval.train.pairs import Record

if TYPE_CHECKING:
    from tokenizers import Tokenizer


_Encoded = tuple[list[int], list[tuple[int, int]]]
"""A text's token ids, and each token's span of characters."""


@dataclass(frozen=True, slots=True)
class TokenCorpus:
    """Token ids of many texts, special tokens included.

    Attributes:
        ids: u16 or i32 [T].
        offsets: i64 [n + 1]; text i owns ids[offsets[i]:offsets[i + 1]].
        pairs: i64 [p, 2]; (query, answering text), as numbers of texts.
        text: u8 [B], the UTF-8 of what was tokenised, for readers with another tokenizer; empty if
            it was not kept.
        text_offsets: i64 [n + 1]; text i owns text[text_offsets[i]:text_offsets[i + 1]].
    """

    ids: NDArray[Any]
    offsets: NDArray[np.int64]
    pairs: NDArray[np.int64]
    text: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    text_offsets: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text: i64 [n]."""
        return np.diff(self.offsets)

    def __getitem__(self, text: int) -> NDArray[Any]:
        return self.ids[self.offsets[text] : self.offsets[text + 1]]

    @property
    def has_text(self) -> bool:
        """Whether the text was kept."""
        return len(self.text_offsets) == len(self.offsets)

    def text_of(self, text: int) -> str:
        """The text that was tokenised, without special tokens."""
        start, end = self.text_offsets[text], self.text_offsets[text + 1]
        return self.text[start:end].tobytes().decode("utf-8", "replace")


def read_records(paths: Iterable[Path]) -> Iterator[Record]:
    """Records of JSONL files (`.jsonl`, `.jsonl.gz`): keys `text`, and `title`, `query` if any.

    Raises:
        DocumentError: a line is not a JSON object with a text; its file and number are named.
    """
    for path in paths:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    raw = json.loads(line)
                    yield Record(raw["text"], raw.get("title") or "", raw.get("query") or "")
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise DocumentError(
                        f"{path}:{number}: {error!r}, expected a JSON object with a `text`"
                    ) from None


def tokenise(
    records: Iterable[Record],
    tokenizer: Tokenizer,
    *,
    max_tokens: int = 256,
    short_share: float = 0.3,
    seed: int = 0,
    keep_text: bool = False,
) -> TokenCorpus:
    """Split every text into windows of at most `max_tokens` tokens, special tokens included.

    A share of the windows is short, so that the student is also trained on texts of the length of
    queries and titles. Titles and queries are texts of their own. A query's answer is the first
    window of its text, preceded by the title.

    Raises:
        CheckpointError: the tokenizer has no [CLS] or no [SEP] token.
    """
    rng = np.random.default_rng(seed)
    cls_id, sep_id = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    if cls_id is None or sep_id is None:
        raise CheckpointError(
            "the tokenizer has no [CLS] or [SEP] token, which windows begin and end with"
        )
    room = max_tokens - 2
    short_limit = min(64, room)
    rows: list[list[int]] = []
    kept_texts: list[bytes] = []
    pairs: list[tuple[int, int]] = []

    def add_window(source: str, encoded: _Encoded, start: int, end: int) -> int:
        ids, spans = encoded
        rows.append([cls_id, *ids[start:end], sep_id])
        if keep_text:
            first, last = spans[start], spans[min(end, len(spans)) - 1]
            kept_texts.append(source[first[0] : last[1]].encode("utf-8", "replace"))
        return len(rows) - 1

    def encode(texts: Sequence[str]) -> list[_Encoded]:
        encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
        return [(one.ids, one.offsets if keep_text else []) for one in encoded]

    for batch in _record_batches(records, 2048):
        texts = [f"{r.title}\n{r.text}" if r.title else r.text for r in batch]
        sides = (texts, [r.query for r in batch], [r.title for r in batch])
        for record, source, text, query, title in zip(
            batch, texts, *map(encode, sides), strict=True
        ):
            start, count = 0, len(text[0])
            if query[0] and count:
                pairs.append(
                    (add_window(record.query, query, 0, 64), add_window(source, text, 0, room))
                )
                start = room
            elif title[0]:
                add_window(record.title, title, 0, 64)
            while start < count:
                short = rng.random() < short_share
                low, high = (min(6, short_limit), short_limit) if short else (short_limit, room)
                size = int(rng.integers(low, high + 1))
                if count - start >= 4:
                    add_window(source, text, start, start + size)
                start += size
    lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
    dtype = np.uint16 if tokenizer.get_vocab_size() <= 1 << 16 else np.int32
    flat = np.fromiter((i for row in rows for i in row), dtype, int(lengths.sum()))
    offsets = offsets_of(lengths)
    text_offsets = offsets_of([len(text) for text in kept_texts])
    text_bytes = np.frombuffer(b"".join(kept_texts), np.uint8)
    paired = np.array(pairs, np.int64).reshape(-1, 2)
    return TokenCorpus(flat, offsets, paired, text_bytes, text_offsets)


def batches(
    corpus: TokenCorpus, budget: int, *, seed: int, texts: NDArray[np.int64] | None = None
) -> Iterator[NDArray[np.int64]]:
    """Numbers of texts in endless batches of about `budget` tokens, each of near-equal lengths.

    Every text comes once per epoch. Lengths are near equal only within a batch; the order of the
    batches is random.
    """
    rng = np.random.default_rng(seed)
    lengths = corpus.lengths
    candidates = np.arange(len(corpus)) if texts is None else texts
    while True:
        order = rng.permutation(candidates)
        # Sorting inside pools of some 64 batches keeps the texts of a batch unrelated.
        pool_ends = np.searchsorted(
            np.cumsum(lengths[order]), np.arange(64 * budget, lengths[order].sum(), 64 * budget)
        )
        for pool in np.split(order, pool_ends):
            ranked = pool[np.argsort(lengths[pool], kind="stable")]
            ends = np.searchsorted(
                np.cumsum(lengths[ranked]), np.arange(budget, lengths[ranked].sum(), budget)
            )
            parts = [part for part in np.split(ranked, ends) if len(part)]
            for index in rng.permutation(len(parts)):
                yield parts[index]


def pair_batches(
    corpus: TokenCorpus, size: int, *, seed: int, region: int = 2048
) -> Iterator[NDArray[np.int64]] | None:
    """Pairs i64 [size, 2] without end, each batch from one region of the corpus; None if too few.

    Neighbours in a corpus come from one source, and so are harder to tell apart than random pairs.
    An epoch has each pair at most once.
    """
    if size < 2 or len(corpus.pairs) < size:
        return None

    def endless() -> Iterator[NDArray[np.int64]]:
        rng = np.random.default_rng(seed)
        while True:
            shift = int(rng.integers(region))
            regions = (np.arange(len(corpus.pairs)) + shift) // region
            order = np.lexsort((rng.random(len(regions)), regions))
            starts = np.arange(0, len(order) - size + 1, size)
            for start in rng.permutation(starts):
                yield corpus.pairs[order[start : start + size]]

    return endless()


def _record_batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    """Records in lists of `size`; the last may be shorter."""
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
