"""Any ModernBERT checkpoint as an Encoder, by torch: on a GPU in bfloat16, on a CPU in float32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.network import Checkpoint, fingerprint_of
from retrieval.encoders.packing import (
    Tally,
    chunked,
    pack,
    window_lengths,
    windows,
)
from retrieval.encoders.sides import SideReader, TokenSequence
from retrieval.encoders.tokenization import leading, token_spans
from retrieval.errors import EncoderError, InputError
from retrieval.ragged import offsets_of, rows_of
from retrieval.types import Embeddings, EncoderSide, Progress

CPU_BUDGET = 4_096
"""Tokens of a batch on a CPU, where a larger one only leaves the cache."""

CUDA_BUDGET = 65_536
"""Tokens of a batch on a GPU: enough to fill the largest, and base-sized models fit in 8 GB."""

STREAM_TOKENS = 262_144
"""Tokens that a stream holds at a time, to sort their texts by length."""

_READ_AT_ONCE = 256


class TorchEncoder:
    """Implements `retrieval.types.Encoder` on our own network, unpadded throughout."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        budget: int | None = None,
    ) -> None:
        """Take a checkpoint into use.

        Args:
            device: None is CUDA where there is one, else the CPU.
            dtype: of the trunk; None is bfloat16 on a GPU that has it, and else float32.
            budget: tokens of a batch; None is a default for the device. On a GPU whose memory does
                not suffice it is halved until it does.

        Raises:
            InputError: the device is not known or not there.
        """
        self._device = choose_device(device)
        on_cuda = self._device.type == "cuda"
        self._budget = budget or (CUDA_BUDGET if on_cuda else CPU_BUDGET)
        self._name = checkpoint.name
        self._tokenizer = checkpoint.tokenizer
        self._document = SideReader(checkpoint.tokenizer, checkpoint.document)
        self._query = SideReader(checkpoint.tokenizer, checkpoint.query)
        network = checkpoint.network.eval().requires_grad_(False)
        self._dense_dim, self._token_dim = network.dims()
        self._fingerprint = checkpoint.fingerprint or fingerprint_of(checkpoint)
        self._network = network.to(self._device)
        self._network.trunk.to(dtype or default_dtype(self._device))

    @property
    def name(self) -> str:
        """The folder or Hub id that it was loaded from."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """Hex digest over configuration, weights, tokenizer and sides; not over the device."""
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
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._device

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
        return self._encode(self._document, texts, Tally(progress))

    def encode_queries(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> Embeddings:
        """Embeddings of the query side, in the order given."""
        return self._encode(self._query, texts, Tally(progress))

    def stream_documents(
        self, texts: Iterable[str], *, progress: Progress | None = None
    ) -> Iterator[Embeddings]:
        """Embeddings of consecutive runs of texts, in order, in bounded memory."""
        tally = Tally(progress)
        read = self._read(self._document, texts)
        for run in windows(read, lambda sequence: len(sequence.ids), STREAM_TOKENS):
            yield self._run(self._document, run, tally)

    def _encode(self, reader: SideReader, texts: Sequence[str], tally: Tally) -> Embeddings:
        return self._run(reader, list(self._read(reader, texts)), tally)

    def _read(self, reader: SideReader, texts: Iterable[str]) -> Iterator[TokenSequence]:
        """Token ids of texts; of a long text, only a beginning is tokenised."""
        longest = reader.side.max_tokens
        for run in chunked(texts, _READ_AT_ONCE):
            yield from reader.read([leading(self._tokenizer, text, longest) for text in run])

    def _run(
        self, reader: SideReader, sequences: Sequence[TokenSequence], tally: Tally
    ) -> Embeddings:
        """Run sequences through the network in batches by length; results in the order given."""
        window = reader.side.window
        out = _Output(sequences, self._dense_dim, self._token_dim, window)
        waiting = list(pack([len(sequence.ids) for sequence in sequences], self._budget))[::-1]
        while waiting:
            batch = waiting.pop()
            chosen = [sequences[i] for i in batch]
            lengths = [len(sequence.ids) for sequence in chosen]
            made = None
            with contextlib.suppress(torch.OutOfMemoryError):
                made = self._forward(chosen, reader.prompt_tokens, window)
            if made is None:  # only here has the failed pass let go of its memory
                self._shrink(lengths)
                waiting += [batch[part] for part in pack(lengths, self._budget)][::-1]
                continue
            out.put(batch, *made)
            tally.add(len(batch), sum(lengths))
        return out.embeddings

    @torch.inference_mode()
    def _forward(
        self, batch: Sequence[TokenSequence], prompt_tokens: int, window: int | None
    ) -> tuple[NDArray[np.float32] | None, ...]:
        """A batch's dense vectors [n, D], its kept tokens' and its windows', text after text."""
        ids = torch.from_numpy(np.concatenate([sequence.ids for sequence in batch]))
        layout = Layout.of(
            [len(sequence.ids) for sequence in batch],
            self._device,
            key_lengths=[sequence.visible for sequence in batch],
        )
        told = {} if window is None else {"windows": _windows(layout, window)}
        dense, vectors, parts = self._network(ids.to(self._device), layout, prompt_tokens, **told)
        if vectors is not None and any(sequence.kept is not None for sequence in batch):
            starts = offsets_of(layout.lengths)[:-1]
            rows = [start + text.positions for start, text in zip(starts, batch, strict=True)]
            vectors = vectors[torch.from_numpy(np.concatenate(rows)).to(self._device)]
        return _array(dense), _array(vectors), _array(parts)

    def _shrink(self, lengths: Sequence[int]) -> None:
        """Halve the budget, after the GPU's memory did not suffice for texts of these lengths."""
        if len(lengths) == 1:
            raise EncoderError(
                f"a text of {lengths[0]:,} tokens does not fit the memory of {self._device}: "
                "use device='cpu', or cut documents into shorter passages"
            )
        self._budget = max(1, min(self._budget, sum(lengths)) // 2)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


class _Output:
    """The arrays of one run, filled batch by batch."""

    def __init__(
        self,
        sequences: Sequence[TokenSequence],
        dense_dim: int | None,
        token_dim: int | None,
        window: int | None,
    ) -> None:
        self._dense = self._tokens = self._offsets = None
        self._windows = self._window_offsets = None
        if dense_dim is not None:
            self._dense = np.zeros((len(sequences), dense_dim), np.float32)
        if dense_dim is not None and window is not None:
            counts = [len(window_lengths(len(text.ids), window)) for text in sequences]
            self._window_offsets = offsets_of(counts)
            self._windows = np.zeros((int(self._window_offsets[-1]), dense_dim), np.float32)
        if token_dim is not None:
            self._offsets = offsets_of([len(sequence.positions) for sequence in sequences])
            self._tokens = np.zeros((int(self._offsets[-1]), token_dim), np.float32)
        # All texts of a side have weights, or none has; a text whose weights are all 0 has none.
        self._weights = None
        if any(sequence.weights is not None for sequence in sequences):
            self._weights = np.concatenate([_weights(sequence) for sequence in sequences])

    def put(
        self,
        batch: NDArray[np.int64],
        dense: NDArray[np.float32] | None,
        vectors: NDArray[np.float32] | None,
        windows: NDArray[np.float32] | None,
    ) -> None:
        if self._windows is not None and self._window_offsets is not None and windows is not None:
            self._windows[rows_of(self._window_offsets, batch)] = windows
        if self._dense is not None and dense is not None:
            self._dense[batch] = dense
        if self._tokens is not None and self._offsets is not None and vectors is not None:
            rows = rows_of(self._offsets, batch)
            weights = None if self._weights is None else self._weights[rows, None]
            self._tokens[rows] = vectors if weights is None else vectors * weights

    @property
    def embeddings(self) -> Embeddings:
        return Embeddings(
            self._dense, self._tokens, self._offsets, self._windows, self._window_offsets
        )


def _windows(layout: Layout, most: int) -> Layout:
    """The windows of a layout's sequences, one after the other."""
    cut = [window_lengths(length, most) for length in layout.lengths]
    return Layout.of(np.concatenate(cut).tolist(), layout.cu_seqlens.device)


def _weights(sequence: TokenSequence) -> NDArray[np.float32]:
    """What each kept token vector is scaled by."""
    if sequence.weights is not None:
        return sequence.weights
    return np.ones(len(sequence.positions), np.float32)


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """The device of that name; None is CUDA where there is one, else the CPU.

    Raises:
        InputError: there is no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"device {str(device)!r} cannot be used here ({reason}); expected 'cpu', or 'cuda' "
            "where there is a GPU"
        ) from None
    return chosen


def default_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU that computes in it (Ampere and later), else float32."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return torch.bfloat16
    return torch.float32


def _array(tensor: Tensor | None) -> NDArray[np.float32] | None:
    return None if tensor is None else tensor.float().cpu().numpy()
