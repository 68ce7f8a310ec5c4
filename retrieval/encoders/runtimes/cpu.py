"""The CPU runtime: a model folder as an Encoder, without torch.

One text is one run of the network on one core, and texts run side by side on all of them. A batch
would gain nothing (see `retrieval.encoders.export.onnx_graph`), so no text is ever padded, and a
text's vectors are the same to the bit whatever it is encoded with. The network is the compiled one
where the processor has its instructions, else ONNX Runtime's.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders import model_folder
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.quantized import TensorPlace, read_tensor, tensor_places
from retrieval.encoders.model_folder import ModelSettings
from retrieval.encoders.packing import Indices, pack
from retrieval.encoders.runtimes import compiled
from retrieval.encoders.runtimes.base import Output, SequenceRuntime, checked_texts
from retrieval.encoders.runtimes.onnx import OnnxNetwork
from retrieval.encoders.sides import Side, SideReader, TokenSequence, check_weights, window_lengths
from retrieval.encoders.tokenization import load_tokenizer
from retrieval.errors import CheckpointError, InputError
from retrieval.ragged import offsets_of
from retrieval.threads import ThreadPool, asked_for
from retrieval.types import Embeddings, PendingEmbeddings

# Tokens of texts that one thread takes at a time: few enough that all threads end together.
_TASK_TOKENS = 2_048


class Network(Protocol):
    """What runs a model folder: one text at a time, on the caller's thread, any number at once."""

    def __call__(self, ids: NDArray[np.int64], /) -> Mapping[str, NDArray[np.float32]]:
        """Ids i64 [L] to `dense` f32 [1, D], `windows` [w, D] and `tokens` [L, d]."""

    def hidden(self, ids: NDArray[np.int64], /) -> Mapping[str, NDArray[np.float32]]:
        """Ids i64 [L] to `hidden` f32 [L, H], after the final norm, and `tokens` [L, d]."""


class CpuEncoder(SequenceRuntime):
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
        folder = Path(folder)
        raw = model_folder.read_config(folder)
        config = ModernBertConfig.from_dict(raw)
        settings = ModelSettings.from_dict(
            raw[model_folder.SECTION], max_positions=config.max_positions
        )
        places = tensor_places(folder / model_folder.WEIGHTS_FILE)
        dense = places.get(model_folder.DENSE_HEAD)
        tokens = places.get(model_folder.TOKEN_HEAD[0])
        tokenizer = load_tokenizer(folder / model_folder.TOKENIZER_FILE)
        vocabulary = tokenizer.get_vocab_size()
        if vocabulary > config.vocab_size:
            raise CheckpointError(
                f"{folder}: the tokenizer has {vocabulary} tokens, the network embeds "
                f"{config.vocab_size}: they are not of one model"
            )
        words = (tokenizer.token_to_id(word) for word in settings.token_skiplist)
        super().__init__(
            name=settings.name or folder.resolve().name,
            tokenizer=tokenizer,
            fingerprint=lambda: model_folder.fingerprint(folder),
            document=Side(
                settings.max_tokens,
                settings.document_prefix,
                skipped=tuple(sorted({word for word in words if word is not None})),
                window=settings.dense_window,
            ),
            query=Side(
                settings.query_max_tokens,
                settings.query_prefix,
                weights=_query_weights(folder, config.vocab_size),
            ),
            dims=(dense.shape[0] if dense else None, tokens.shape[0] if tokens else None),
        )
        self._forward = _network(folder, config, places, settings.dense_window)
        self._head = read_tensor(folder / model_folder.WEIGHTS_FILE, model_folder.DENSE_HEAD)
        self._threads = threads or usable_cores()
        self._pool = ThreadPool("retrieval-encode", self._threads)

    @property
    def threads(self) -> int:
        """How many texts are encoded at the same time."""
        return self._threads

    def start_documents(self, texts: Sequence[str]) -> PendingEmbeddings:
        """Begin to encode texts of the document side on this encoder's own threads."""
        return self._start(self._document, list(self._read(self._document, checked_texts(texts))))

    def _run(self, reader: SideReader, sequences: Sequence[TokenSequence]) -> Embeddings:
        run = self._start(reader, sequences)
        try:
            return run.result()
        finally:
            run.cancel()

    def _start(self, reader: SideReader, sequences: Sequence[TokenSequence]) -> _Run:
        """Hand texts to the threads; a single one is run by the caller's own, here and now."""
        output = self._output(reader, sequences)

        def work(task: Indices) -> None:
            for i in task:
                made = self._vectors(sequences[i], reader.side.window)
                output.put(np.array([i]), *made)

        lengths = [len(sequence.ids) for sequence in sequences]
        share = sum(lengths) // (4 * self._threads)
        tasks = pack(lengths, max(1, min(share, _TASK_TOKENS)))
        if len(sequences) > 1:
            pool = self._pool.here()
            return _Run(output, [pool.submit(work, task) for task in tasks])
        for task in tasks:
            work(task)
        return _Run(output, [])

    def _vectors(
        self, text: TokenSequence, window: int | None
    ) -> tuple[NDArray[np.float32] | None, ...]:
        """A text's dense vector, or its parts' [n, D], its token vectors, and its windows'."""
        if text.parts is None:
            made = self._forward(text.ids)
            tokens = made.get("tokens")
            if tokens is not None and text.kept is not None:
                tokens = tokens[text.kept]
            return made.get("dense"), tokens, made.get("windows")
        made = self._forward.hidden(text.ids)
        tokens = made.get("tokens")
        if tokens is not None:
            tokens = tokens[text.positions]
        if self._head is None:
            return None, tokens, None
        hidden = made["hidden"][np.concatenate(text.parts)]
        dense = _pooled(hidden, text.lengths, self._head)
        if window is None:
            return dense, tokens, None
        cut = np.concatenate([window_lengths(length, window) for length in text.lengths])
        return dense, tokens, _pooled(hidden, cut, self._head)


class _Run:
    """Texts under way (`retrieval.types.PendingEmbeddings`)."""

    def __init__(self, output: Output, tasks: Sequence[Future[None]]) -> None:
        self._output, self._tasks = output, tasks

    def result(self) -> Embeddings:
        """Wait for all texts."""
        for task in self._tasks:
            task.result()
        return self._output.embeddings

    def cancel(self) -> None:
        """Cancel the texts that have not begun; does nothing after `result`."""
        for task in self._tasks:
            task.cancel()


def _pooled(
    rows: NDArray[np.float32], lengths: Sequence[int] | NDArray[np.int64], head: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Dense vectors of runs of hidden vectors: f32 [n, D], unit length.

    Args:
        rows: f32 [sum of the lengths, H].
        lengths: of each run, at least 1.
        head: f32 [D, H]. A mean's direction is its sum's.
    """
    sums = np.add.reduceat(rows, offsets_of(lengths)[:-1], axis=0)
    # Not by BLAS, whose threads would be as many again in each of this encoder's own.
    vectors: NDArray[np.float32] = np.einsum("nh,dh->nd", sums, head)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(norms > 0, norms, 1)
    return vectors


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
    isa = compiled.chosen()
    if isa is not None and compiled.supports(config, places):
        return compiled.CompiledNetwork(folder, config, places, dense_window, isa)
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
    """Physical cores that this process may use, within its share of a container's CPU time.

    Raises:
        InputError: RETRIEVAL_THREADS, which takes precedence, is not a whole number of at least 1.
    """
    if given := asked_for():
        return given
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
