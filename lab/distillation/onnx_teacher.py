"""A BERT as an ONNX graph of hidden vectors, pooled by [CLS], as a teacher.

The int8 graphs of BGE models come in this form, sometimes without any other weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders.packing import pack
from retrieval.encoders.tokenization import clean, load_tokenizer, token_spans
from retrieval.errors import CheckpointError
from retrieval.types import Embeddings

BATCH_TOKENS = 2048
"""Tokens of a batch, without padding."""
MAX_TOKENS = 512


class OnnxTeacher:
    """Implements `retrieval.types.Encoder`: dense vectors of whole texts."""

    token_dim: int | None = None
    max_tokens = MAX_TOKENS

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        """Open `model.onnx` and `tokenizer.json` of a folder.

        Args:
            threads: of one run; 0 is as many as there are cores.

        Raises:
            CheckpointError: a file is missing or cannot be read.
        """
        import onnxruntime

        graph = folder / "model.onnx"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            digest = hashlib.sha256(graph.read_bytes())
            self._session = onnxruntime.InferenceSession(graph, options)
        except Exception as error:  # ONNX Runtime's errors have no base class of their own
            reason = str(error).splitlines()[0]
            raise CheckpointError(f"{graph} cannot be read ({reason}): fetch it again") from None
        self._tokenizer = load_tokenizer(folder / "tokenizer.json")
        self.name, self.fingerprint = folder.name, digest.hexdigest()
        self._inputs = {one.name for one in self._session.get_inputs()}
        self._width = int(self._run([[0]]).shape[1])

    @property
    def dense_dim(self) -> int | None:
        """Dimensions of the vectors."""
        return self._width

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Character spans of the text's tokens: i64 [t, 2]."""
        return token_spans(self._tokenizer, text)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """Unit vectors f32 [n, D]."""
        encoded = self._tokenizer.encode_batch([clean(text) for text in texts])
        # The last token is [SEP], also of a text that is cut off.
        rows = [[*encoding.ids[:-1][: MAX_TOKENS - 1], encoding.ids[-1]] for encoding in encoded]
        vectors = np.zeros((len(rows), self._width), np.float32)
        for batch in pack([len(row) for row in rows], BATCH_TOKENS):
            vectors[batch] = self._run([rows[row] for row in batch])
        return Embeddings(vectors, None, None)

    def encode_queries(self, texts: Sequence[str]) -> Embeddings:
        """The same as for documents: queries have no prompt."""
        return self.encode_documents(texts)

    def _run(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        width = max(map(len, rows))
        ids, mask = np.zeros((2, len(rows), width), np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)], mask[index, : len(row)] = row, 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, {name: feed[name] for name in self._inputs})[0][:, 0]
        unit: NDArray[np.float32] = hidden / np.linalg.norm(hidden, axis=1, keepdims=True)
        return unit
