"""Any ModernBERT checkpoint as an Encoder, by torch: on a GPU in bfloat16, on a CPU in float32."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.encoders.dynamic_batching import DynamicBatching, assembled, weakly
from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.network import Checkpoint, Parts, fingerprint_of
from retrieval.encoders.packing import Indices, pack, token_batches
from retrieval.encoders.runtimes.base import Output, SequenceRuntime
from retrieval.encoders.runtimes.forks import check_process
from retrieval.encoders.runtimes.transfers import (
    Returned,
    Vectors,
    copying_stream,
    made_ahead,
    sent,
)
from retrieval.encoders.sides import SideReader, TokenSequence, window_lengths
from retrieval.errors import EncoderError, InputError
from retrieval.ragged import offsets_of
from retrieval.types import Embeddings, EncoderSide

CPU_BUDGET = 4_096
"""Tokens of a batch on a CPU, where a larger one only leaves the cache."""

CUDA_BUDGET = 65_536
"""Tokens of a batch on a GPU: enough to fill the largest, and base-sized models fit in 8 GB."""

_BATCHES_READ = 8  # whose texts are tokenised at a time, beside the network's work on those before
_CHARACTERS = 4  # of a token, about


class TorchEncoder(SequenceRuntime):
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
        network = checkpoint.network.eval().requires_grad_(False)
        super().__init__(
            name=checkpoint.name,
            tokenizer=checkpoint.tokenizer,
            fingerprint=checkpoint.fingerprint or fingerprint_of(checkpoint),
            document=checkpoint.document,
            query=checkpoint.query,
            dims=network.dims(),
        )
        self._network = network.to(self._device)
        self._network.trunk.to(dtype or default_dtype(self._device))
        self._batching: DynamicBatching[TokenSequence] = DynamicBatching(
            weakly(self._begin_side), budget=self._budget
        )
        self._copies = copying_stream(self._device)

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._device

    def encode_spans(self, text: str, spans: Sequence[tuple[int, int]]) -> Embeddings:
        """Embeddings of spans of one document that is read as a whole (`retrieval.types`).

        Raises:
            EncoderError: the dense vectors are pooled from one token, which is not part of a span.
            InputError: a span is not within the text, or they are not in order.
        """
        check_process(self.name)
        if not self._network.pools_spans:
            raise EncoderError(
                f"encoder {self.name!r} makes a text's dense vector of its first or last token, so "
                "it has none of a part of a text: encode passages one by one"
            )
        return super().encode_spans(text, spans)

    def _encode(self, texts: Sequence[str], side: EncoderSide) -> Embeddings:
        check_process(self.name)
        reader = self._reader(side)
        # Enough batches at a time that they can be packed, and that the device is kept busy.
        runs = token_batches(texts, len, self._budget * _BATCHES_READ * _CHARACTERS)
        read = (list(self._read(reader, run)) for run in runs)
        many = sum(map(len, texts)) > self._budget * _BATCHES_READ * _CHARACTERS
        made: list[Embeddings] = []
        places: list[Indices] = []
        for sequences in made_ahead(read) if many else read:
            first = sum(map(len, places))
            places.append(np.arange(first, first + len(sequences)))
            made.append(self._batching.encode(side, sequences, lambda one: len(one.ids)))
        if not made:
            return self._run(reader, [])
        return made[0] if len(made) == 1 else assembled(places, made)

    def _run(self, reader: SideReader, sequences: Sequence[TokenSequence]) -> Embeddings:
        return self._begin(reader, sequences)()

    def _begin_side(
        self, side: EncoderSide, sequences: Sequence[TokenSequence]
    ) -> Callable[[], Embeddings]:
        return self._begin(self._reader(side), sequences)

    def _begin(
        self, reader: SideReader, sequences: Sequence[TokenSequence]
    ) -> Callable[[], Embeddings]:
        """Send sequences through the network in batches by length.

        Returns:
            What waits for their embeddings, in the order given.
        """
        window = reader.side.window
        returned = Returned(self._device, self._copies)
        output = self._output(reader, sequences)
        lengths = np.array([len(sequence.ids) for sequence in sequences], np.int64)
        waiting = list(pack(lengths, self._budget))[::-1]
        while waiting:
            batch = waiting.pop()
            chosen = [sequences[i] for i in batch]
            made = None
            with contextlib.suppress(torch.OutOfMemoryError):
                made = self._forward(chosen, reader.prompt_tokens, window)
            if made is None:  # only here has the failed pass let go of its memory
                returned.wait()
                self._shrink(lengths[batch].tolist())
                left = [batch, *waiting[::-1]]
                waiting = [one[at] for one in left for at in pack(lengths[one], self._budget)][::-1]
                continue
            returned.take(made, partial(_put, output, batch))

        def later() -> Embeddings:
            returned.wait()
            return output.embeddings

        return later

    @torch.inference_mode()
    def _forward(
        self, batch: Sequence[TokenSequence], prompt_tokens: int, window: int | None
    ) -> tuple[Tensor | None, ...]:
        """A batch's dense vectors [n, D], its kept tokens' and its windows', text after text."""
        ids = sent(np.concatenate([sequence.ids for sequence in batch]), self._device)
        layout = Layout.of(
            [len(sequence.ids) for sequence in batch],
            self._device,
            key_lengths=[sequence.visible for sequence in batch],
        )
        starts = offsets_of(layout.lengths)[:-1].tolist()
        told: dict[str, Any] = {}
        lengths = [length for sequence in batch for length in sequence.lengths]
        if batch[0].parts is not None:
            own = [part for sequence in batch for part in sequence.parts or ()]
            first = np.repeat(starts, [len(sequence.parts or ()) for sequence in batch])
            prompts = [np.searchsorted(part, prompt_tokens) for part in own]
            told["parts"] = Parts(
                self._rows([start + part for start, part in zip(first, own, strict=True)]),
                Layout.of(lengths, self._device),
                sent(np.array(prompts, np.int64), self._device),
            )
        if window is not None:
            cut = [window_lengths(length, window) for length in lengths]
            told["windows"] = Layout.of(np.concatenate(cut).tolist(), self._device)
        dense, vectors, windows = self._network(ids, layout, prompt_tokens, **told)
        whole = all(sequence.kept is None and sequence.parts is None for sequence in batch)
        if vectors is not None and not whole:
            rows = [start + one.positions for start, one in zip(starts, batch, strict=True)]
            vectors = vectors[self._rows(rows)]
        return dense, vectors, windows

    def _rows(self, rows: Sequence[NDArray[np.int64]]) -> Tensor:
        return sent(np.concatenate(rows), self._device)

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
    return torch.bfloat16 if bfloat16_obstacle(device) is None else torch.float32


def bfloat16_obstacle(device: torch.device) -> str | None:
    """Why a trunk on that device is not in bfloat16 unless asked for; None if it is."""
    if device.type != "cuda":
        return "only on a GPU"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "needs an Ampere GPU or a later one"
    return None


def _put(output: Output, batch: Indices, vectors: Vectors) -> None:
    output.put(batch, *vectors)
