"""A big folder indexed whole: speed as the index grows, memory, and what is said of the time left.

    python -m benchmarks.big_folder FOLDER RESULT.json [--random-vectors] [--seconds N]
                                    [--index FOLDER]

FOLDER is indexed as `retrieval index` does it. Every ten seconds it is noted how many files and
tokens are in, a processor's seconds so far, and memory, files that are mapped included; of the
workers that parse files, too. `--random-vectors` leaves out the encoding alone, so that the rest
shows, of folders that take hours to encode. After N seconds it stops where it is. An index that
`--index` names stays, and the same command goes on with it and with what was noted; the time
between counts as none.

The result has what was noted; by tenth of the tokens, the tokens a processor's second; and for each
minute the time left that was said, what it was, and what the same rule says with a processor's time
as its clock: other work on the machine changes what a second holds, which no rule can foresee.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.environment import environment
from retrieval.encoder import Embeddings
from retrieval.encoders import load_encoder
from retrieval.index import Index
from retrieval.malloc import map_large_blocks
from retrieval.service.opening import open_or_create
from retrieval.service.updating import update
from retrieval.sync import SyncProgress, remaining
from retrieval.types import COMPRESSING

EVERY_S = 10.0
MINUTE_S = 60.0
_TOKENS, _TEXTS = 50_000, 5_000  # of the heap: 27 MB
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


class Watched(remaining.Remaining):
    """The time left as it is told, and what the rule says by a processor's time."""

    now: tuple[float | None, float | None] = (None, None)
    compressing = 0.0
    """A processor's seconds so far, which the rule leaves out as it does those of the clock."""

    def __init__(self, files: Any) -> None:
        super().__init__(files)
        self._processor_speed = type(self._speed)()

    def seconds(self, now: float, encoded: int, tokens: int, waiting: int) -> float | None:
        """As told; `now` keeps both."""
        told = super().seconds(now, encoded, tokens, waiting)
        self._speed, wall = self._processor_speed, self._speed
        spent = time.process_time() - self.compressing
        processor = super().seconds(spent, encoded, tokens, waiting)
        self._speed = wall
        Watched.now = (told, processor)
        return told


def workers() -> tuple[float, int]:
    """Of the processes that we started and that live: a processor's seconds, and megabytes."""
    seconds, megabytes = 0.0, 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                megabytes += memory(status.parent.name).get("VmRSS", 0)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds + ended.ru_utime + ended.ru_stime, megabytes


def memory(process: str = "self") -> dict[str, int]:
    """Megabytes: held now, at most so far, without mapped files; of one that is gone nothing."""
    with suppress(OSError):
        status = Path(f"/proc/{process}/status").read_text()
        return {name: int(kb) // 1024 for name, kb in _MEMORY.findall(status)}
    return {}


@contextmanager
def opened(folder: Path, *, random_vectors: bool) -> Iterator[Index]:
    """An index, new or begun, as `retrieval index` makes it, or one of random vectors."""
    if random_vectors:
        begin = Index.open if folder.exists() else Index.create
        with begin(folder, encoder=RandomVectors()) as index:
            yield index
        return
    with open_or_create(folder, encoder=None, memory=2048 << 20) as index:
        yield index


def by_tenth(notes: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """Tokens a processor's second in each tenth of the tokens."""
    tokens = np.array([0] + [note["tokens"] for note in notes], np.float64)
    spent = [note["processor"] + note["workers_processor"] for note in notes]
    spent = np.array([0, *spent], np.float64)
    tokens, first = np.unique(tokens, return_index=True)  # where nothing came in, the first note
    edges = np.linspace(0, tokens[-1], 11)
    seconds = np.diff(np.interp(edges, tokens, spent[first]))
    return [
        {"tokens": round(end), "tokens_a_processor_second": round((end - start) / took)}
        for start, end, took in zip(edges[:-1], edges[1:], seconds, strict=True)
    ]


def by_minute(notes: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """What was said of the time left at each minute, and what it was."""
    end, rows, due = notes[-1], [], MINUTE_S
    for note in notes[:-1]:
        if note["seconds"] < due or note["said"] is None:
            continue
        due += MINUTE_S
        left = {
            "said": note["said"],
            "was": end["seconds"] - note["seconds"],
            "said_processor": note["said_processor"],
            "was_processor": end["processor"] - note["processor"],
        }
        rows.append(
            {"minute": round(note["seconds"] / 60, 1), **{k: round(v) for k, v in left.items()}}
        )
    return rows


def main() -> None:
    """Index, and write what was noted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--random-vectors", action="store_true")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--work", type=Path, help="where the index is made and deleted again")
    parser.add_argument("--index", type=Path, help="where it is made and stays, to be gone on with")
    args = parser.parse_args()
    if not args.folder.is_dir():
        parser.error(f"{args.folder} is no folder; give one with files to index")
    where = environment(("modernbert-retrieval", "numpy", "tantivy"))
    started = time.monotonic()
    notes: list[dict[str, Any]] = []
    if args.index and args.index.exists() and args.result.exists():
        notes += json.loads(args.result.read_text())["notes"]
    before = dict(notes[-1]) if notes else {}
    latest: list[SyncProgress] = []
    done = threading.Event()

    last = time.process_time()

    def progress(now: SyncProgress) -> None:
        nonlocal last
        before, last = last, time.process_time()
        if now.stage == COMPRESSING:
            Watched.compressing += last - before
        latest[:] = [now]
        if time.monotonic() - started > args.seconds:
            raise KeyboardInterrupt

    def note() -> None:
        for now in latest:
            took = {"seconds": time.monotonic() - started, "processor": time.process_time()}
            took["workers_processor"], workers_mb = workers()
            said, said_processor = Watched.now
            counted = {"files": now.files, "passages": now.passages, "tokens": now.tokens}
            notes.append(
                {k: round(v + before.get(k, 0), 1) for k, v in took.items()}
                | {k: v + before.get(k, 0) for k, v in counted.items()}
                | {"stage": now.stage, "said": said, "said_processor": said_processor}
                | memory()
                | {"workers": workers_mb}
            )

    def write(report: Any = None) -> None:
        result: dict[str, Any] = {**where, "random_vectors": args.random_vectors}
        if report is not None:
            result |= {name: notes[-1][name] for name in ("files", "passages", "tokens")}
            result |= {"problems": len(report.problems), "left_out": report.skipped}
            result |= {"largest_mb": max(one["VmHWM"] for one in notes)}
            result |= {"time_left": by_minute(notes)}
            result |= {"by_tenth": by_tenth(notes)}
        result["notes"] = notes
        args.result.write_text(json.dumps(result, indent=1, default=str) + "\n", encoding="utf-8")

    def watch() -> None:
        while not done.wait(EVERY_S):
            note()
            write()

    map_large_blocks()  # as the command does
    watching = threading.Thread(target=watch, daemon=True)
    report = None
    with (
        tempfile.TemporaryDirectory(dir=args.work) as folder,
        mock.patch("retrieval.sync.run.Remaining", Watched),
        opened(args.index or Path(folder) / "index", random_vectors=args.random_vectors) as index,
        suppress(KeyboardInterrupt),
    ):
        watching.start()
        report = update(index, [args.folder], progress=progress)
    done.set()
    watching.join()
    note()
    write(report)
    print(
        json.dumps({k: v for k, v in json.loads(args.result.read_text()).items() if k != "notes"})
    )


if __name__ == "__main__":
    main()
