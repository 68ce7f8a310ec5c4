"""A big folder indexed as a whole: speed as the index grows, memory, and the estimate of time left.

    python -m benchmarks.big_folder FOLDER RESULT.json [--random-vectors] [--seconds N]
                                    [--index FOLDER]

FOLDER is indexed as `retrieval index` does it. Every ten seconds a sample is taken of the files and
tokens indexed, CPU seconds, and memory, mapped files included, of this process and of the workers
that parse files. `--random-vectors` replaces the encoder, which would take hours on large folders,
so that the rest shows. It stops after N seconds. An index named by `--index` stays, and the same
command continues it and its samples; the time between does not count.

The result has the samples; tokens per CPU second, by tenth of the tokens; and for each minute the
estimated time left, the actual one, and what the same estimator says when its clock is CPU time:
load from elsewhere changes what a second holds, which no estimator can foresee.
"""

from __future__ import annotations

import argparse
import json
import os
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
from benchmarks.timing import cpu_seconds, memory_mib
from retrieval.encoder import Embeddings
from retrieval.encoders import load_encoder
from retrieval.index import Index
from retrieval.malloc import map_large_blocks
from retrieval.service.opening import open_or_create
from retrieval.service.updating import update
from retrieval.sync import SyncProgress, remaining
from retrieval.types import COMPRESSING

SAMPLE_INTERVAL_S = 10.0
MINUTE_S = 60.0
_POOL_TOKENS, _POOL_TEXTS = 50_000, 5_000  # of the pool of random vectors: 27 MB


class RandomVectors:
    """An encoder that takes its vectors from a pool of random ones."""

    name = "random vectors"
    fingerprint = "0" * 64

    def __init__(self) -> None:
        self._real = load_encoder()
        self.dense_dim, self.token_dim = self._real.dense_dim, self._real.token_dim
        self.max_tokens = self._real.max_tokens
        assert self.dense_dim and self.token_dim
        self._tokens, self._dense = (
            _random_unit_vectors(_POOL_TOKENS, self.token_dim),
            _random_unit_vectors(_POOL_TEXTS, self.dense_dim),
        )
        self._at = 0

    def token_spans(self, text: str) -> Any:
        """Those of the embedded model."""
        return self._real.token_spans(text)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """Vectors from the pool, two more per text than it has tokens."""
        counts = [len(self.token_spans(text)) + 2 for text in texts]
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        self._at = (self._at + 9_973) % (_POOL_TOKENS // 2)
        rows = (self._at + np.arange(offsets[-1])) % _POOL_TOKENS
        return Embeddings(
            self._dense[rows[: len(texts)] % _POOL_TEXTS], self._tokens[rows], offsets
        )

    encode_queries = encode_documents


def _random_unit_vectors(count: int, dim: int) -> Any:
    """Random unit vectors, f32 [count, dim]."""
    vectors = np.random.default_rng(0).standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class RecordingRemaining(remaining.Remaining):
    """The estimator of time left, which also estimates with CPU time as its clock.

    Attributes:
        now: the latest estimates in seconds, by wall time and by CPU time.
        compressing: CPU seconds so far of compressing, which the estimator leaves out.
    """

    now: tuple[float | None, float | None] = (None, None)
    compressing = 0.0
    """A processor's seconds so far, which the rule leaves out as it does those of the clock."""

    def __init__(self, files: Any) -> None:
        super().__init__(files)
        self._cpu_speed = type(self._speed)()

    def seconds(self, now: float, encoded: int, tokens: int, waiting: int) -> float | None:
        """The estimate by wall time; `now` keeps both."""
        by_wall = super().seconds(now, encoded, tokens, waiting)
        self._speed, wall_speed = self._cpu_speed, self._speed
        cpu_s = time.process_time() - self.compressing
        by_cpu = super().seconds(cpu_s, encoded, tokens, waiting)
        self._speed = wall_speed
        RecordingRemaining.now = (by_wall, by_cpu)
        return by_wall


def worker_usage() -> tuple[float, int]:
    """CPU seconds of all child processes, and memory of the live ones in MiB."""
    seconds, memory = 0.0, 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                memory += memory_mib(status.parent.name).get("VmRSS", 0)
    return seconds + cpu_seconds(resource.RUSAGE_CHILDREN), memory


@contextmanager
def open_index(folder: Path, *, random_vectors: bool) -> Iterator[Index]:
    """An index, new or existing, as `retrieval index` opens it, or one of random vectors."""
    if random_vectors:
        begin = Index.open if folder.exists() else Index.create
        with begin(folder, encoder=RandomVectors()) as index:
            yield index
        return
    with open_or_create(folder, encoder=None, memory=2048 << 20) as index:
        yield index


def by_tenth(samples: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """Tokens per CPU second in each tenth of the tokens."""
    tokens = np.array([0] + [sample["tokens"] for sample in samples], np.float64)
    cpu_s = [sample["processor"] + sample["workers_processor"] for sample in samples]
    cpu_s = np.array([0, *cpu_s], np.float64)
    tokens, first = np.unique(
        tokens, return_index=True
    )  # the first sample of each number of tokens
    edges = np.linspace(0, tokens[-1], 11)
    seconds = np.diff(np.interp(edges, tokens, cpu_s[first]))
    return [
        {"tokens": round(end), "tokens_a_processor_second": round((end - start) / duration)}
        for start, end, duration in zip(edges[:-1], edges[1:], seconds, strict=True)
    ]


def by_minute(samples: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """The estimated and the actual time left at each minute."""
    end, rows, due = samples[-1], [], MINUTE_S
    for sample in samples[:-1]:
        if sample["seconds"] < due or sample["said"] is None:
            continue
        due += MINUTE_S
        left = {
            "said": sample["said"],
            "was": end["seconds"] - sample["seconds"],
            "said_processor": sample["said_processor"],
            "was_processor": end["processor"] - sample["processor"],
        }
        rows.append(
            {"minute": round(sample["seconds"] / 60, 1), **{k: round(v) for k, v in left.items()}}
        )
    return rows


def main() -> None:
    """Index the folder, and write the samples and what follows from them."""
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
    provenance = environment(("modernbert-retrieval", "numpy", "tantivy"))
    started = time.monotonic()
    samples: list[dict[str, Any]] = []
    if args.index and args.index.exists() and args.result.exists():
        samples += json.loads(args.result.read_text())["notes"]
    before = dict(samples[-1]) if samples else {}
    latest: list[SyncProgress] = []
    done = threading.Event()

    last = time.process_time()

    def progress(now: SyncProgress) -> None:
        nonlocal last
        before, last = last, time.process_time()
        if now.stage == COMPRESSING:
            RecordingRemaining.compressing += last - before
        latest[:] = [now]
        if time.monotonic() - started > args.seconds:
            raise KeyboardInterrupt

    def take_sample() -> None:
        for now in latest:
            times = {"seconds": time.monotonic() - started, "processor": time.process_time()}
            times["workers_processor"], workers_mb = worker_usage()
            estimate, estimate_cpu = RecordingRemaining.now
            counts = {"files": now.files, "passages": now.passages, "tokens": now.tokens}
            samples.append(
                {k: round(v + before.get(k, 0), 1) for k, v in times.items()}
                | {k: v + before.get(k, 0) for k, v in counts.items()}
                | {"stage": now.stage, "said": estimate, "said_processor": estimate_cpu}
                | memory_mib()
                | {"workers": workers_mb}
            )

    def write(report: Any = None) -> None:
        result: dict[str, Any] = {**provenance, "random_vectors": args.random_vectors}
        if report is not None:
            result |= {name: samples[-1][name] for name in ("files", "passages", "tokens")}
            result |= {"problems": len(report.problems), "left_out": report.skipped}
            result |= {"largest_mb": max(one["VmHWM"] for one in samples)}
            result |= {"time_left": by_minute(samples)}
            result |= {"by_tenth": by_tenth(samples)}
        result["notes"] = samples
        args.result.write_text(json.dumps(result, indent=1, default=str) + "\n", encoding="utf-8")

    def watch() -> None:
        while not done.wait(SAMPLE_INTERVAL_S):
            take_sample()
            write()

    map_large_blocks()  # as the command does
    watcher = threading.Thread(target=watch, daemon=True)
    report = None
    with (
        tempfile.TemporaryDirectory(dir=args.work) as folder,
        mock.patch("retrieval.sync.run.Remaining", RecordingRemaining),
        open_index(
            args.index or Path(folder) / "index", random_vectors=args.random_vectors
        ) as index,
        suppress(KeyboardInterrupt),
    ):
        watcher.start()
        report = update(index, [args.folder], progress=progress)
    done.set()
    watcher.join()
    take_sample()
    write(report)
    print(
        json.dumps({k: v for k, v in json.loads(args.result.read_text()).items() if k != "notes"})
    )


if __name__ == "__main__":
    main()
