"""The CPU runtime: a model folder as an Encoder, without torch.

One text is one run of the network on one core, and texts run side by side on all of them. A batch
would gain nothing (see `retrieval.encoders.export.onnx_graph`), so no text is ever padded, and a
text's vectors are the same to the bit whatever it is encoded with. The network is the compiled one
where the processor has its instructions, else ONNX Runtime's.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders import model_folder
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.quantized import TensorPlace, read_tensor, tensor_places
from retrieval.encoders.model_folder import ModelSettings
from retrieval.encoders.packing import (
    Indices,
    Tally,
    chunked,
    pack,
    window_lengths,
    windows,
)
from retrieval.encoders.runtimes import compiled
from retrieval.encoders.runtimes.onnx import OnnxNetwork
from retrieval.encoders.sides import Side, SideReader, TokenSequence, check_weights
from retrieval.encoders.tokenization import leading, load_tokenizer, token_spans
from retrieval.errors import CheckpointError, InputError
from retrieval.ragged import offsets_of
from retrieval.types import Embeddings, EncoderSide, Progress, Started

STREAM_TOKENS = 65_536
"""Tokens of one run of `stream_documents`; the next one is under way while a run is consumed."""

# Tokens of texts that one thread takes at a time: few enough that all threads end together.
_TASK_TOKENS = 2_048
_READ_AT_ONCE = 256

Network = Callable[[NDArray[np.int64]], Mapping[str, NDArray[np.float32]]]
"""One text's ids i64 [L] to `dense` f32 [1, D], `windows` [w, D] and `tokens` [L, d]."""


class CpuEncoder:
    """Implements `retrieval.types.Encoder`; safe to use from several threads."""

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        """Load a model folder (`retrieval.encoders.model_folder` tells what is in it).

        Args:
            folder: as `retrieval.encoders.export.onnx_graph.export` writes it.
            threads: texts that are encoded at the same time; None is one a physical core.

        Raises:
            CheckpointError: a file is missing, truncated, or not what it should be.
            InputError: `threads` is below 1.
        """
        if threads is not None and threads < 1:
            raise InputError(f"threads={threads}, expected 1 or more")
        self._folder = Path(folder)
        raw = model_folder.read_config(self._folder)
        config = ModernBertConfig.from_dict(raw)
        settings = ModelSettings.from_dict(
            raw[model_folder.SECTION], max_positions=config.max_positions
        )
        self._name = settings.name or self._folder.resolve().name
        places = tensor_places(self._folder / model_folder.WEIGHTS_FILE)
        dense = places.get(model_folder.DENSE_HEAD)
        tokens = places.get(model_folder.TOKEN_HEAD[0])
        self._dense_dim = dense.shape[0] if dense else None
        self._token_dim = tokens.shape[0] if tokens else None
        self._tokenizer = load_tokenizer(self._folder / model_folder.TOKENIZER_FILE)
        vocabulary = self._tokenizer.get_vocab_size()
        if vocabulary > config.vocab_size:
            raise CheckpointError(
                f"{self._folder}: the tokenizer has {vocabulary} tokens, the network embeds "
                f"{config.vocab_size}: they are not of one model"
            )
        words = (self._tokenizer.token_to_id(word) for word in settings.token_skiplist)
        skipped = tuple(sorted({word for word in words if word is not None}))
        self._document = SideReader(
            self._tokenizer,
            Side(
                settings.max_tokens,
                settings.document_prefix,
                skipped=skipped,
                window=settings.dense_window,
            ),
        )
        self._query = SideReader(
            self._tokenizer,
            Side(
                settings.query_max_tokens,
                settings.query_prefix,
                weights=_query_weights(self._folder, config.vocab_size),
            ),
        )
        self._forward = _network(self._folder, config, places, settings.dense_window)
        self._fingerprint: str | None = None
        self._threads = threads or usable_cores()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="retrieval-encode")

    @property
    def name(self) -> str:
        """The model's own name, or its folder's."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """Hex digest over configuration, tokenizer and weights."""
        if self._fingerprint is None:
            self._fingerprint = model_folder.fingerprint(self._folder)
        return self._fingerprint

    @property
    def dense_dim(self) -> int | None:
        """D of the dense vectors, or None without a dense head."""
        return self._dense_dim

    @property
    def token_dim(self) -> int | None:
        """d of the token vectors, or None without a token head."""
        return self._token_dim

    @property
    def max_tokens(self) -> int:
        """The longest document that is read, in tokens, special ones included, a prompt not."""
        return self._document.text_tokens

    @property
    def threads(self) -> int:
        """How many texts are encoded at the same time."""
        return self._threads

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Character spans of the text's tokens: i64 [t, 2]; no special tokens, nothing cut off."""
        return token_spans(self._tokenizer, text)

    def vector_spans(self, text: str, side: EncoderSide) -> NDArray[np.int64]:
        """Characters that each token vector of the text stands for: i64 [t, 2]."""
        reader = self._query if side == "query" else self._document
        return reader.spans(leading(self._tokenizer, text, reader.side.max_tokens))

    def encode_documents(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> Embeddings:
        """Embeddings of the document side, in the order given."""
        return self._encode(self._document, texts, progress)

    def start_documents(self, texts: Sequence[str]) -> Started:
        """Begin to encode texts of the document side on this encoder's own threads."""
        return self._start(self._document, list(self._read(self._document, texts)))

    def encode_queries(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> Embeddings:
        """Embeddings of the query side, in the order given."""
        return self._encode(self._query, texts, progress)

    def stream_documents(
        self, texts: Iterable[str], *, progress: Progress | None = None
    ) -> Iterator[Embeddings]:
        """Embeddings of consecutive runs of texts, in order, in bounded memory.

        The next run is encoded while the caller works on the last one.
        """
        report = Tally(progress)
        sequences = self._read(self._document, texts)
        waiting: _Run | None = None
        started: _Run | None = None
        try:
            for window in windows(sequences, lambda text: len(text.ids), STREAM_TOKENS):
                started = self._start(self._document, window)
                if waiting is not None:
                    yield waiting.tallied(report)
                waiting = started
            if waiting is not None:
                yield waiting.tallied(report)
        finally:
            for run in (waiting, started):
                if run is not None:
                    run.cancel()

    def _encode(
        self, reader: SideReader, texts: Sequence[str], progress: Progress | None
    ) -> Embeddings:
        run = self._start(reader, list(self._read(reader, texts)))
        try:
            return run.finish(progress)
        finally:
            run.cancel()

    def _read(self, reader: SideReader, texts: Iterable[str]) -> Iterator[TokenSequence]:
        longest = reader.side.max_tokens
        for run in chunked(texts, _READ_AT_ONCE):
            yield from reader.read([leading(self._tokenizer, text, longest) for text in run])

    def _start(self, reader: SideReader, texts: Sequence[TokenSequence]) -> _Run:
        """Hand texts to the threads; a single one waits to be run by the caller's own."""
        lengths = [len(text.ids) for text in texts]
        share = sum(lengths) // (4 * self._threads)
        run = _Run(texts, self._dense_dim, self._token_dim, reader.side.window, self._forward)
        for task in pack(lengths, max(1, min(share, _TASK_TOKENS))):
            run.add(task, None if len(texts) == 1 else self._pool)
        return run


class _Run:
    """Texts under way, and the arrays that their vectors are written to."""

    def __init__(
        self,
        texts: Sequence[TokenSequence],
        dense_dim: int | None,
        token_dim: int | None,
        window: int | None,
        forward: Network,
    ) -> None:
        self._texts = texts
        self._forward = forward
        self._tasks: dict[Future[None], Indices] = {}
        self._dense = self._tokens = self._offsets = None
        self._windows = self._window_offsets = None
        if dense_dim is not None:
            self._dense = np.zeros((len(texts), dense_dim), np.float32)
        if dense_dim is not None and window is not None:
            counts = [len(window_lengths(len(text.ids), window)) for text in texts]
            self._window_offsets = offsets_of(counts)
            self._windows = np.zeros((int(self._window_offsets[-1]), dense_dim), np.float32)
        if token_dim is not None:
            self._offsets = offsets_of([len(text.positions) for text in texts])
            self._tokens = np.zeros((int(self._offsets[-1]), token_dim), np.float32)

    def add(self, task: Indices, pool: ThreadPoolExecutor | None) -> None:
        """Start on these texts; without a pool they are run here and now."""
        if pool is not None:
            self._tasks[pool.submit(self._work, task)] = task
            return
        done: Future[None] = Future()
        self._work(task)
        done.set_result(None)
        self._tasks[done] = task

    def finish(self, progress: Progress | None = None) -> Embeddings:
        """Wait for all texts."""
        return self.tallied(Tally(progress))

    def tallied(self, counter: Tally) -> Embeddings:
        """Wait for all texts, which are counted beside those of other runs."""
        for future in as_completed(self._tasks):
            future.result()
            task = self._tasks[future]
            counter.add(len(task), sum(len(self._texts[i].ids) for i in task))
        return Embeddings(
            self._dense, self._tokens, self._offsets, self._windows, self._window_offsets
        )

    def cancel(self) -> None:
        """Take back what has not begun; nothing to do after `finish`."""
        for future in self._tasks:
            future.cancel()

    def _work(self, task: Indices) -> None:
        for i in task:
            text = self._texts[i]
            made = self._forward(text.ids)
            if self._dense is not None:
                self._dense[i] = made["dense"][0]
            if self._windows is not None and self._window_offsets is not None:
                rows = slice(self._window_offsets[i], self._window_offsets[i + 1])
                self._windows[rows] = made["windows"]
            if self._tokens is not None and self._offsets is not None:
                vectors = made["tokens"]
                rows = slice(self._offsets[i], self._offsets[i + 1])
                self._tokens[rows] = vectors if text.kept is None else vectors[text.kept]
                if text.weights is not None:
                    self._tokens[rows] *= text.weights[:, None]


def _query_weights(folder: Path, vocabulary: int) -> NDArray[np.float32] | None:
    """What each token counts in a query, if the model says so."""
    path = folder / model_folder.WEIGHTS_FILE
    weights = read_tensor(path, model_folder.QUERY_WEIGHTS)
    return None if weights is None else check_weights(weights, vocabulary, str(path))


def _network(
    folder: Path,
    config: ModernBertConfig,
    places: Mapping[str, TensorPlace],
    dense_window: int | None,
) -> Network:
    """The compiled network where this processor and the model's shape allow it, else the graph."""
    if compiled.runs(config, places):
        return compiled.CompiledNetwork(folder, config, places, dense_window)
    return OnnxNetwork(folder)


def network_of(folder: Path) -> Network:
    """The network of a model folder, to be run on token ids.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    raw = model_folder.read_config(folder)
    config = ModernBertConfig.from_dict(raw)
    settings = ModelSettings.from_dict(
        raw[model_folder.SECTION], max_positions=config.max_positions
    )
    places = tensor_places(folder / model_folder.WEIGHTS_FILE)
    return _network(folder, config, places, settings.dense_window)


def usable_cores() -> int:
    """Physical cores that this process may use, within its share of a container's CPU time."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # not on macOS
        allowed = set(range(os.cpu_count() or 1))
    cores = {_core(cpu) for cpu in allowed}
    count = len(cores)
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            count = min(count, round(int(quota) / int(period)))
    return max(count, 1)


def _core(cpu: int) -> object:
    """What the hardware threads of one core have in common."""
    with contextlib.suppress(OSError):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        return siblings.read_text()
    return cpu
