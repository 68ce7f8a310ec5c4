"""A fitted classifier: labels of texts, or of the words in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders.packing import pack
from retrieval.encoders.sides import Side, SideReader
from retrieval.encoders.tag_sequence import likeliest_tags
from retrieval.encoders.tokenization import encode, leading, special_tokens
from retrieval.encoders.words import OUTSIDE, Entity, entities_of, word_spans
from retrieval.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from retrieval.encoders.checkpoints.classification import LabelCheckpoint

_BUDGET = 4096
"""Tokens of a batch."""


class Classifier:
    """Labels texts (`labels_of`), or finds entities in them (`entities`); needs torch.

    Attributes:
        name: the folder or Hub id that it was loaded from.
        labels: their names, in the order of the logits.
        by_token: whether it labels words and not texts.
        max_tokens: the longest text that is read, special tokens included; the rest is cut off.
    """

    def __init__(self, checkpoint: LabelCheckpoint, *, device: str | None = None) -> None:
        from retrieval.encoders.runtimes.torch import choose_device

        self._device = choose_device(device)
        self._network = checkpoint.network.to(self._device).eval()
        self._tokenizer = checkpoint.tokenizer
        self._reader = SideReader(checkpoint.tokenizer, Side(checkpoint.max_tokens))
        self.name = checkpoint.name
        self.labels = checkpoint.labels
        self.max_tokens = checkpoint.max_tokens
        self.by_token = checkpoint.network.pooling is None

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Of each label for each text: f32 [n, labels].

        Raises:
            InputError: it labels words.
        """
        if self.by_token:
            raise InputError(f"{self.name} labels words; ask it for entities")
        ids = [sequence.ids for sequence in self._reader.read(texts)]
        out = np.zeros((len(ids), len(self.labels)), np.float32)
        for places, made in self._batches(ids):
            out[places] = made
        return out

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Of each label for each text, by softmax: f32 [n, labels]."""
        logits = self.logits(texts)
        raised = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)

    def labels_of(self, texts: Sequence[str]) -> list[str]:
        """The likeliest label of each text."""
        return [self.labels[at] for at in self.logits(texts).argmax(axis=1).tolist()]

    def tags(
        self, texts: Sequence[str], words: Sequence[Sequence[tuple[int, int]]]
    ) -> list[list[str]]:
        """A tag for each word of each text, of its first token; the likeliest that make entities.

        Words beyond the longest text, or that the tokenizer leaves out, are `O`.

        Args:
            words: (start, end) of each word of each text.

        Raises:
            InputError: it labels texts.
        """
        if not self.by_token:
            raise InputError(f"{self.name} labels texts; ask it for labels_of")
        firsts = [
            first_tokens(self._tokenizer, text, spans, self.max_tokens)
            for text, spans in zip(texts, words, strict=True)
        ]
        sequences = [sequence.ids for sequence in self._reader.read(texts)]
        before, behind = (len(ids) for ids in special_tokens(self._tokenizer))
        tags = [[OUTSIDE] * len(spans) for spans in words]
        lengths = [len(ids) for ids in sequences]
        for places, made in self._batches(sequences):
            row = 0
            for place in places.tolist():
                own = made[row : row + lengths[place]]
                row += lengths[place]
                last = lengths[place] - behind - before
                read = [(w, t) for w, t in enumerate(firsts[place].tolist()) if 0 <= t < last]
                chosen = likeliest_tags(own[[before + token for _, token in read]], self.labels)
                for (word, _), tag in zip(read, chosen, strict=True):
                    tags[place][word] = tag
        return tags

    def entities(self, texts: Sequence[str]) -> list[list[Entity]]:
        """The entities in each text, in order."""
        words = [word_spans(text) for text in texts]
        tagged = self.tags(texts, words)
        return [entities_of(spans, tags) for spans, tags in zip(words, tagged, strict=True)]

    def _batches(
        self, sequences: Sequence[NDArray[np.int64]]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Places of a batch's texts, and their logits, text after text."""
        import torch

        from retrieval.encoders.model.attention import Layout

        for places in pack([len(ids) for ids in sequences], _BUDGET):
            own = [sequences[at] for at in places]
            ids = torch.from_numpy(np.concatenate(own)).to(self._device)
            layout = Layout.of([len(one) for one in own], self._device)
            with torch.inference_mode():
                yield places, self._network(ids, layout).float().cpu().numpy()


def first_tokens(
    tokenizer: Tokenizer, text: str, words: Sequence[tuple[int, int]], read: int
) -> NDArray[np.int64]:
    """The first token of each word, special ones not counted: i64 [words]; -1 if it has none.

    Args:
        words: (start, end) of each.
        read: tokens of the text that count; a word beyond may have none.
    """
    beginning = leading(tokenizer, text, read)
    offsets = np.array(encode(tokenizer, beginning).offsets, np.int64).reshape(-1, 2)
    found = np.full(len(words), -1, np.int64)
    ends = offsets[:, 1]
    for at, (start, end) in enumerate(words):
        token = int(np.searchsorted(ends, start, side="right"))
        if token < len(offsets) and offsets[token, 0] < end:
            found[at] = token
    return found


def load_classifier(source: str | Path, *, device: str | None = None) -> Classifier:
    """Load a classifier from a folder or its id on the Hugging Face Hub.

    Args:
        device: "cpu", "cuda" or "cuda:1"; None is CUDA where there is one.

    Raises:
        CheckpointError: it is missing, unsafe, broken, or no classifier of ModernBERT.
        MissingDependency: torch is not installed.
    """
    from retrieval.encoders.loading import check_torch

    check_torch(str(source))
    from retrieval.encoders.checkpoints import NotNative, open_folder
    from retrieval.encoders.checkpoints.classification import read
    from retrieval.errors import CheckpointError

    try:
        return Classifier(read(open_folder(source)), device=device)
    except NotNative as reason:
        raise CheckpointError(f"{source} cannot be used as a classifier: {reason}") from None
