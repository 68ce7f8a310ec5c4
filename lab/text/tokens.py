"""Whole texts as token ids in a folder of arrays, written once and memory-mapped from then on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from retrieval.encoders.packing import token_batches
from retrieval.encoders.tokenization import clean, pieces
from retrieval.errors import InputError
from retrieval.files.whole import write_whole
from retrieval.ragged import offsets_of
from retrieval.train.pairs import Record
from retrieval.types import ProgressCallback, ProgressUpdate

_IDS, _OFFSETS, _ABOUT = "ids.npy", "offsets.npy", "about.json"
_CHARACTERS = 1 << 21


@dataclass(frozen=True, slots=True)
class Documents:
    """Token ids of whole texts, without special tokens; the arrays may be memory-mapped.

    Attributes:
        ids: u16 or i32 [T].
        offsets: i64 [n + 1]; text i owns ids[offsets[i]:offsets[i + 1]].
        digest: hex, of all ids and offsets; "" if it was not asked for.
    """

    ids: NDArray[Any]
    offsets: NDArray[np.int64]
    digest: str = ""

    def __len__(self) -> int:
        return len(self.offsets) - 1


def tokenise_to_folder(
    folder: Path,
    files: Iterable[Path],
    records: Iterable[Record],
    tokenizer: Tokenizer,
    *,
    progress: ProgressCallback | None = None,
) -> Documents:
    """The records as token ids, read from the folder if they were written there before.

    A record is one text: its title, a line break and its text. The folder is written again if the
        files
    (by name, size and time) or the tokenizer have changed.

    Args:
        folder: for `ids.npy`, `offsets.npy` and `about.json`.
        files: where the records come from.
        records: read only if needed.
        tokenizer: adds no special tokens here.
        progress: called after every text, with the number of tokens so far.

    Raises:
        InputError: there is no text.
        DocumentError: a record cannot be read.
    """
    made_from = {
        "tokenizer": hashlib.sha256(tokenizer.to_str().encode()).hexdigest(),
        "files": [
            [str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in sorted(files)
        ],
    }
    if _about(folder).get("made from") != made_from:
        _write(folder, records, tokenizer, made_from, progress)
    return open_documents(folder)


def open_documents(folder: Path) -> Documents:
    """What `tokenise_to_folder` left in the folder, memory-mapped.

    Raises:
        InputError: it is missing or incomplete.
    """
    try:
        ids = np.load(folder / _IDS, mmap_mode="r", allow_pickle=False)
        offsets = np.load(folder / _OFFSETS, mmap_mode="r", allow_pickle=False)
        digest = str(_about(folder)["digest"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder}: no whole set of token ids ({error}); remove the folder to make it anew"
        ) from None
    return Documents(ids, offsets, digest)


def _about(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _write(
    folder: Path,
    records: Iterable[Record],
    tokenizer: Tokenizer,
    made_from: dict[str, Any],
    progress: ProgressCallback | None,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # The file that marks the arrays as complete is removed first and written last.
    (folder / _ABOUT).unlink(missing_ok=True)
    raw, lengths, digest, total = folder / "ids.part", [], hashlib.blake2b(digest_size=16), 0
    dtype = np.uint16 if tokenizer.get_vocab_size() <= 1 << 16 else np.int32
    with raw.open("wb") as file:
        for ids in _encode_records(records, tokenizer):
            data = np.asarray(ids, dtype).tobytes()
            file.write(data)
            digest.update(data)
            lengths.append(len(ids))
            total += len(ids)
            if progress is not None:
                progress(ProgressUpdate("tokenising", total, None, "tokens"))
    if not total:
        raise InputError("there is no token of text to learn from: every text is empty")
    offsets = offsets_of(lengths)
    digest.update(offsets.tobytes())
    np.save(folder / _OFFSETS, offsets)
    whole = np.lib.format.open_memmap(folder / _IDS, mode="w+", dtype=dtype, shape=(total,))
    whole[:] = np.memmap(raw, dtype=dtype, mode="r")
    whole.flush()
    raw.unlink()
    about = {"digest": digest.hexdigest(), "made from": made_from}
    write_whole(folder / _ABOUT, json.dumps(about, indent=1) + "\n")


def _encode_records(records: Iterable[Record], tokenizer: Tokenizer) -> Iterator[list[int]]:
    """Token ids of each record. Texts are tokenised in batches, long ones in pieces."""
    texts = (clean(f"{r.title}\n{r.text}" if r.title else r.text) for r in records)
    for run in token_batches(texts, len, _CHARACTERS):
        cut = [[piece for _, piece in pieces(text)] for text in run]
        encoded = iter(
            tokenizer.encode_batch(
                [piece for parts in cut for piece in parts], add_special_tokens=False
            )
        )
        for parts in cut:
            yield [id for _ in parts for id in next(encoded).ids]
