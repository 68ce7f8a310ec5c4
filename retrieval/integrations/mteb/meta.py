"""What MTEB records of a model: its name, size, training data and how it is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import mteb
from mteb.models.model_meta import MODEL_TYPES, ModelMeta, ScoringFunction

from retrieval import __version__
from retrieval.encoders import load_encoder, source_of
from retrieval.types import Encoder

Kind = Literal["encoder", "lexical", "dense", "late", "hybrid"]
"""`encoder` is the dense vectors of whole texts; the others search an index of passages."""

ORGANISATION = "modernbert-retrieval"

_TYPES: Mapping[str, MODEL_TYPES] = {
    "lexical": "sparse",
    "late": "late-interaction",
    "hybrid": "hybrid",
}
_SCORES = {"encoder": "cosine", "dense": "cosine", "late": "MaxSim"}
_TEACHER = "sentence-transformers/all-MiniLM-L6-v2"
# MTEB's names of the data sets that the embedded model was trained on, see its README.
_TRAINED_ON = {"MedicalQARetrieval", "LEMBQMSumRetrieval"}


def model_meta(
    encoder: Encoder | str | Path | None = None,
    kind: Kind = "hybrid",
    *,
    settings: Mapping[str, Any] | None = None,
) -> ModelMeta:
    """The metadata of a retriever or of an encoder; `load_model` creates the model.

    Args:
        encoder: an encoder, or a source for `load_encoder`; None is the embedded model.
        settings: differences from the retriever's defaults; MTEB stores results of such an
            experiment separately.

    Raises:
        CheckpointError: the encoder cannot be loaded.
    """
    from retrieval.integrations.mteb.encoder import EncoderModel
    from retrieval.integrations.mteb.retriever import RetrieverModel

    known = as_encoder(encoder)
    origin = source_of(known)
    embedded = origin is not None and origin.source is None
    name = known.name if "/" in known.name else f"{ORGANISATION}/{known.name}"
    total, table = _parameters(known)

    def load(name: str, revision: str | None = None, **options: Any) -> Any:
        if kind == "encoder":
            return EncoderModel(known)
        return RetrieverModel(known, kind)

    return ModelMeta(
        loader=load,
        name=name if kind == "encoder" else f"{name}-{kind}",
        # Search results depend on the package as well as on the encoder.
        revision=f"{__version__}-{known.fingerprint[:12]}",
        release_date=None,
        languages=["eng-Latn"] if embedded else None,
        n_parameters=total,
        n_embedding_parameters=table,
        memory_usage_mb=None,
        max_tokens=known.max_tokens,
        embed_dim=known.token_dim if kind == "late" else known.dense_dim,
        license="apache-2.0" if embedded else None,
        open_weights=True if embedded else None,
        public_training_code=None,
        public_training_data=None,
        framework=["ONNX", "safetensors"] if embedded else ["PyTorch"],
        similarity_fn_name=ScoringFunction(_SCORES.get(kind, "custom")),
        use_instructions=False,
        training_datasets=_trained_on() if embedded else None,
        adapted_from=_TEACHER if embedded else None,
        model_type=[_TYPES.get(kind, "dense")],
        experiment_kwargs=dict(settings) if settings else None,
    )


def as_encoder(source: Encoder | str | Path | None) -> Encoder:
    """The encoder itself, or one loaded by `load_encoder`."""
    if source is None or isinstance(source, str | Path):
        return load_encoder(source)
    return source


def _trained_on() -> set[str]:
    """The embedded model's own training data, and its teacher's."""
    teacher = mteb.get_model_meta(_TEACHER).training_datasets or set()
    return {*teacher, *_TRAINED_ON}


def _parameters(encoder: Encoder) -> tuple[int | None, int | None]:
    """Number of weights, in all and in the token embedding table; None if unknown."""
    from safetensors import safe_open

    from retrieval.encoders.embedded import embedded_folder
    from retrieval.encoders.model_folder import WEIGHTS_FILE

    origin = source_of(encoder)
    if origin is None:
        return None, None
    folder = embedded_folder() if origin.source is None else Path(origin.source)
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        return None, None
    with safe_open(path, "np") as file:
        sizes = {
            name: math.prod(file.get_slice(name).get_shape())
            for name in file.keys()  # noqa: SIM118
            if not name.endswith("_scale")
        }
    table = sum(size for name, size in sizes.items() if "tok_embeddings.weight" in name)
    return sum(sizes.values()), table or None
