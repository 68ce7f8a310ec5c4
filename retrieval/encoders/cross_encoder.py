"""A cross-encoder: it reads a query and a text together, and gives one score for the two.

It finds nothing by itself, but orders candidates better than encoders that read the two apart
(Nogueira and Cho, "Passage Re-ranking with BERT", 2019). An ONNX graph runs by ONNX Runtime, other
checkpoints through sentence-transformers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders.checkpoints import Folder, open_folder
from retrieval.encoders.comparing import checked_query, ranked
from retrieval.errors import CheckpointError
from retrieval.types import Ranked

if TYPE_CHECKING:
    from tokenizers import Tokenizer

GRAPHS = ("model.onnx", "onnx/model.onnx")
MOST_TOKENS = 512
"""Of a query and a text together; of what is longer the longer one loses its end."""

_BATCH = 32
_TOKENIZER = "tokenizer.json"
_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}

Scores = NDArray[np.float32]


class CrossEncoder:
    """Scores of pairs. Implements `retrieval.types.Reranker`.

    Attributes:
        name: to show.
        fingerprint: of the files that decide what the scores are.
    """

    def __init__(
        self,
        name: str,
        fingerprint: str,
        score: Callable[[Sequence[tuple[str, str]]], Scores],
    ) -> None:
        """Wrap what scores (query, text) pairs: f32 [n], higher is better."""
        self.name, self.fingerprint, self._score = name, fingerprint, score

    def scores(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        """Of (query, text) pairs: f32 [n], higher is better; the scale is the model's own."""
        from retrieval.encoders.tokenization import clean

        read = [(clean(query), clean(text)) for query, text in pairs]
        order = sorted(range(len(read)), key=lambda at: len(read[at][0]) + len(read[at][1]))
        made = np.zeros(len(read), np.float32)
        for first in range(0, len(order), _BATCH):
            # Of near-equal lengths, since a batch is padded to its longest.
            rows = order[first : first + _BATCH]
            made[rows] = self._score([read[row] for row in rows])
        return made

    def rerank(self, query: str, texts: Sequence[str], k: int | None = None) -> list[Ranked]:
        """The texts in the order in which they answer a query, best first, by the model's scores.

        Texts without words come last.

        Args:
            query: the query.
            texts: what may answer it.
            k: so many; None is all.

        Raises:
            InputError: the query is not a text or has no words, or `texts` is not a list of texts.
        """
        listed = checked_query(query, texts, k)
        return ranked(self.scores([(query, text) for text in listed]), listed, k)


def is_cross_encoder(folder: Folder) -> bool:
    """Whether a checkpoint scores pairs: its configuration, or its graph's output, says so."""
    if folder.architectures:
        return any(name.endswith("ForSequenceClassification") for name in folder.architectures)
    graph = _graph(folder)
    return graph is not None and not folder.has("modules.json") and _outputs(graph) == ["logits"]


def load_cross_encoder(source: Folder | str | Path, *, device: str | None = None) -> CrossEncoder:
    """Load a cross-encoder.

    Args:
        source: a folder, or an id on the Hugging Face Hub.
        device: of what runs through sentence-transformers; a graph runs on the CPU.

    Raises:
        CheckpointError: it cannot be loaded, or gives more than one score for a pair.
        InputError: there is no such device.
        MissingDependency: it has no graph, and sentence-transformers is not installed.
    """
    folder = source if isinstance(source, Folder) else open_folder(source)
    graph = _graph(folder)
    if graph is not None and folder.has(_TOKENIZER):
        score = _by_graph(folder, graph)
    else:
        score = _by_sentence_transformers(folder, device)
    return CrossEncoder(folder.name, _fingerprint(folder), score)


def _graph(folder: Folder) -> Path | None:
    return next((folder.path / name for name in GRAPHS if folder.has(name)), None)


def _outputs(graph: Path) -> list[str]:
    return [output.name for output in _session(graph).get_outputs()]


def _session(graph: Path) -> Any:
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    except Exception as wrong:  # ONNX Runtime's errors have no base class of their own
        raise CheckpointError(
            f"{graph}: ONNX Runtime cannot load it ({str(wrong).splitlines()[0]}): "
            "fetch the model again"
        ) from None


def _by_graph(folder: Folder, graph: Path) -> Callable[[Sequence[tuple[str, str]]], Scores]:
    from retrieval.encoders.tokenization import failures_as_errors, load_tokenizer

    session = _session(graph)
    inputs = {one.name for one in session.get_inputs()}
    if not inputs <= _INPUTS:
        raise CheckpointError(
            f"{graph}: reads {', '.join(sorted(inputs - _INPUTS))}, expected a graph that reads "
            f"{', '.join(sorted(_INPUTS))}"
        )
    whole = load_tokenizer(folder.path / _TOKENIZER)
    tokenizer = load_tokenizer(folder.path / _TOKENIZER)
    tokenizer.enable_truncation(MOST_TOKENS)
    tokenizer.enable_padding()

    def score(pairs: Sequence[tuple[str, str]]) -> Scores:
        with failures_as_errors():
            encoded = tokenizer.encode_batch(_begun(whole, pairs))
        columns = {
            "input_ids": [one.ids for one in encoded],
            "attention_mask": [one.attention_mask for one in encoded],
            "token_type_ids": [one.type_ids for one in encoded],
        }
        feed = {name: np.array(columns[name], np.int64) for name in inputs}
        return _one_each(session.run(None, feed)[0], folder.name)

    return score


def _by_sentence_transformers(
    folder: Folder, device: str | None
) -> Callable[[Sequence[tuple[str, str]]], Scores]:
    from retrieval.encoders.checkpoints.weights import weight_files
    from retrieval.encoders.runtimes.sentence_transformers import loaded, package

    library = package(folder.name, "it is a cross-encoder without an ONNX graph")
    weight_files(folder)
    import torch

    from retrieval.encoders.runtimes.torch import choose_device
    from retrieval.encoders.tokenization import load_tokenizer

    model = loaded(library.CrossEncoder, folder, str(choose_device(device)))
    model.max_seq_length = min(MOST_TOKENS, model.max_seq_length or MOST_TOKENS)

    whole = load_tokenizer(folder.path / _TOKENIZER) if folder.has(_TOKENIZER) else None

    def score(pairs: Sequence[tuple[str, str]]) -> Scores:
        # As they come: a sigmoid would press the best and the worst together.
        made = model.predict(
            list(pairs) if whole is None else _begun(whole, pairs),
            batch_size=_BATCH,
            activation_fn=torch.nn.Identity(),
            show_progress_bar=False,
        )
        return _one_each(np.asarray(made), folder.name)

    return score


def _begun(tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs without what is beyond `MOST_TOKENS` of either, which is cut off in any case.

    Args:
        tokenizer: without truncation.
    """
    from retrieval.encoders.tokenization import leading

    return [
        (leading(tokenizer, query, MOST_TOKENS), leading(tokenizer, text, MOST_TOKENS))
        for query, text in pairs
    ]


def _one_each(logits: NDArray[Any], name: str) -> Scores:
    if logits.ndim == 2 and logits.shape[1] == 1:
        logits = logits[:, 0]
    if logits.ndim != 1:
        raise CheckpointError(
            f"{name}: gives {logits.shape[-1]} numbers for a pair, expected a cross-encoder with "
            "one score, such as those trained on MS MARCO"
        )
    return logits.astype(np.float32)


def _fingerprint(folder: Folder) -> str:
    """Of the configuration, the tokenizer and the weights: SHA-256 in hex digits."""
    digest = hashlib.sha256()
    names = sorted({*GRAPHS, "config.json", _TOKENIZER, "vocab.txt"})
    weights = sorted(path.name for path in folder.path.glob("*.safetensors"))
    for name in (*names, *weights):
        if folder.has(name):
            digest.update(name.encode() + b"\0")
            with (folder.path / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
