"""An encoder's dense vectors as a model for all of MTEB's text tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mteb.models.abs_encoder import AbsEncoder
from mteb.types import PromptType
from numpy.typing import NDArray

from retrieval.errors import InputError
from retrieval.integrations.mteb.meta import as_encoder, model_meta
from retrieval.types import Encoder

if TYPE_CHECKING:
    from collections.abc import Iterable


class EncoderModel(AbsEncoder):
    """Dense vectors of whole texts, truncated to what the encoder reads.

    Retrieval with passages, words and late interaction is `RetrieverModel`.
    """

    def __init__(self, encoder: Encoder | str | Path | None = None) -> None:
        """Args: an encoder, or a source for `load_encoder`; None is the embedded model.

        Raises:
            InputError: it has no dense head.
        """
        self.model = as_encoder(encoder)
        if self.model.dense_dim is None:
            raise InputError(
                f"encoder {self.model.name!r} has no dense vectors; give another, or use "
                "RetrieverModel with late"
            )
        self.mteb_model_meta = model_meta(self.model, "encoder")

    def encode(
        self,
        inputs: Iterable[dict[str, Any]],
        *,
        prompt_type: PromptType | None = None,
        **kwargs: Any,
    ) -> NDArray[np.float32]:
        """Dense vectors of batches of texts: f32 [n, D], unit length.

        Args:
            inputs: batches with their texts under `text`.
            prompt_type: queries are read as queries, everything else as documents.
        """
        queries = prompt_type == PromptType.query
        read = self.model.encode_queries if queries else self.model.encode_documents
        blocks = [read(list(batch["text"])).dense for batch in inputs]
        if not blocks:
            return np.empty((0, self.model.dense_dim), np.float32)
        return np.concatenate(blocks)
