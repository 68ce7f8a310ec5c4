"""A cross-encoder of sentence-transformers as a reranker: it reads query and text together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.encoders.checkpoints import open_folder
from retrieval.encoders.comparing import checked_query, ranked
from retrieval.errors import CheckpointError
from retrieval.types import Ranked


class CrossEncoder:
    """Implements `retrieval.types.Reranker`. It may be called from one thread at a time.

    Attributes:
        name: the folder's or the Hub id.
    """

    def __init__(self, source: str | Path, *, device: str | None = None) -> None:
        """Load a model: any that sentence-transformers' CrossEncoder loads, from safetensors alone.

        Args:
            source: a folder, or an id on the Hugging Face Hub.
            device: "cpu", "cuda" or "cuda:1"; None is CUDA where there is one.

        Raises:
            CheckpointError: it is missing or unsafe, or no cross-encoder that gives one score.
            MissingDependency: sentence-transformers is not installed.
            InputError: there is no such device.
        """
        from retrieval.encoders.checkpoints.weights import weight_files
        from retrieval.encoders.runtimes.sentence_transformers import package
        from retrieval.encoders.runtimes.torch import choose_device

        folder = open_folder(source)
        weight_files(folder)
        library = package(folder.name, "it is a cross-encoder")
        try:
            self._model: Any = library.CrossEncoder(
                str(folder.path),
                device=str(choose_device(device)),
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )
        except Exception as error:  # whatever a library of that size raises
            said = (str(error).strip() or repr(error)).splitlines()[0]
            raise CheckpointError(
                f"{folder.name}: sentence-transformers cannot load it as a cross-encoder ({said})"
            ) from error
        self.name = folder.name
        labels = self._model.config.num_labels
        if labels != 1:
            raise CheckpointError(
                f"{folder.name} gives {labels} scores to a pair; a cross-encoder that ranks gives 1"
            )

    def rerank(self, query: str, texts: Sequence[str], k: int | None = None) -> list[Ranked]:
        """The texts in the order in which they answer a query, best first.

        Scores are the model's own. Texts without words come last.

        Args:
            query: the query.
            texts: what may answer it.
            k: so many; None is all.

        Raises:
            InputError: the query is no text or has no words, or they are no list of texts.
        """
        listed = checked_query(query, texts, k)
        if not listed:
            return []
        scores = self._model.predict(
            [(query, text) for text in listed], show_progress_bar=False, convert_to_numpy=True
        )
        return ranked(np.asarray(scores, np.float32).reshape(-1), listed, k)
