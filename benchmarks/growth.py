"""Whether indexing slows down or takes more memory as an index grows, beside what encoding takes.

    python -m benchmarks.growth FOLDER RESULT.json [--seconds N]

FOLDER is indexed with the embedded model's tokenizer and vectors that cost nothing: random ones of
its dimensions. Every ten seconds it notes how many files, passages and tokens are in, a
processor's seconds so far, and the process's memory. After N seconds it stops where it is.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import environment
from retrieval import Index
from retrieval.encoder import Embeddings
from retrieval.encoders import load_encoder
from retrieval.service.updating import update
from retrieval.sync import SyncProgress

EVERY_S = 10.0
_TOKENS, _TEXTS = 200_000, 20_000
_MEMORY = re.compile(r"^(VmRSS|VmHWM|RssAnon):\s*(\d+) kB", re.MULTILINE)


class RandomVectors:
    """An encoder whose vectors are taken from a heap of random ones."""

    name = "random vectors"
    fingerprint = "0" * 64

    def __init__(self) -> None:
        self._real = load_encoder()
        self.dense_dim, self.token_dim = self._real.dense_dim, self._real.token_dim
        self.max_tokens = self._real.max_tokens
        assert self.dense_dim and self.token_dim
        self._tokens, self._dense = _unit(_TOKENS, self.token_dim), _unit(_TEXTS, self.dense_dim)
        self._at = 0

    def token_spans(self, text: str) -> Any:
        """As the embedded model's."""
        return self._real.token_spans(text)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """Vectors from the heap, two more for each text than it has tokens."""
        counts = [len(self.token_spans(text)) + 2 for text in texts]
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        self._at = (self._at + 9_973) % (_TOKENS // 2)
        rows = (self._at + np.arange(offsets[-1])) % _TOKENS
        return Embeddings(self._dense[rows[: len(texts)] % _TEXTS], self._tokens[rows], offsets)

    encode_queries = encode_documents


def _unit(count: int, dim: int) -> Any:
    made = np.random.default_rng(0).standard_normal((count, dim)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def memory() -> dict[str, int]:
    """Megabytes: held now, at most so far, and of its own, without mapped files."""
    status = Path("/proc/self/status").read_text()
    return {name: int(kb) // 1024 for name, kb in _MEMORY.findall(status)}


def main() -> None:
    """Index, and write what was noted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    given = parser.parse_args()
    if not given.folder.is_dir():
        parser.error(f"{given.folder} is no folder; give one with files to index")
    started, where = time.monotonic(), environment([])
    notes: list[dict[str, float]] = []
    latest: list[SyncProgress] = []
    done = threading.Event()

    def progress(now: SyncProgress) -> None:
        latest[:] = [now]
        if time.monotonic() - started > given.seconds:
            raise KeyboardInterrupt

    def note() -> None:
        for now in latest:
            took = {"seconds": time.monotonic() - started, "processor": time.process_time()}
            counts = {"files": now.files, "passages": now.passages, "tokens": now.tokens}
            notes.append({**{k: round(v, 1) for k, v in took.items()}, **counts, **memory()})
        given.result.write_text(json.dumps({**where, "notes": notes}, indent=1) + "\n")

    def watch() -> None:
        while not done.wait(EVERY_S):
            note()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    with (
        tempfile.TemporaryDirectory() as folder,
        Index.create(Path(folder) / "index", encoder=RandomVectors()) as index,
        suppress(KeyboardInterrupt),
    ):
        update(index, [given.folder], progress=progress)
    done.set()
    watching.join()
    note()
    print(notes[-1])


if __name__ == "__main__":
    main()
