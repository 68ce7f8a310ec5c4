"""`modules.json`: the row of modules that a sentence-transformers or PyLate folder consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from retrieval.encoders.checkpoints.folder import Folder, NotNative
from retrieval.encoders.checkpoints.weights import fill, read_tensors
from retrieval.encoders.model.heads import POOLING_MODES, Projection
from retrieval.errors import CheckpointError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    kind.__name__: kind
    for kind in (
        nn.ELU, nn.GELU, nn.Hardswish, nn.Identity, nn.LeakyReLU, nn.Mish, nn.ReLU, nn.SELU,
        nn.Sigmoid, nn.SiLU, nn.Softplus, nn.Tanh,
    )
}  # fmt: skip

_TRUSTED = ("sentence_transformers.", "pylate.")

# As sentence-transformers joins them where a configuration names several.
_OLD_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True, slots=True)
class Module:
    """One entry of `modules.json`.

    Attributes:
        kind: the name of its class, without where that lies.
        folder: where its own files are.
    """

    kind: str
    folder: Folder

    @property
    def config(self) -> dict[str, Any]:
        """Its own configuration; {} where it has none."""
        return self.folder.object("config.json", optional=True)


def read_modules(folder: Folder) -> list[Module]:
    """The modules of a folder, in their order, the first of which is a Transformer.

    Raises:
        CheckpointError: modules.json is broken, or names code that the checkpoint brings along.
        NotNative: the first module is another.
    """
    modules = [Module(kind.rsplit(".", 1)[1], part) for kind, part in _entries(folder)]
    if not modules or modules[0].kind != "Transformer":
        raise NotNative("its first module is no Transformer")
    return modules


def module_folders(folder: Folder) -> list[Folder]:
    """The folders of all modules; of a folder without modules.json, itself.

    Raises:
        CheckpointError: modules.json is broken, or names code that the checkpoint brings along.
    """
    if not folder.has("modules.json"):
        return [folder]
    return [part for _, part in _entries(folder)]


def _entries(folder: Folder) -> list[tuple[str, Folder]]:
    """The type and the folder of each entry of modules.json."""
    listed = folder.json("modules.json")
    entries = []
    for entry in listed if isinstance(listed, list) else [None]:
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
            raise CheckpointError(
                f"{folder.name}: modules.json is not a list of modules with a type each"
            )
        kind = entry["type"]
        if not kind.startswith(_TRUSTED):
            raise CheckpointError(
                f"{folder.name}: modules.json asks for {kind!r}, code that is not part of "
                "sentence-transformers; a checkpoint's own code is never run"
            )
        entries.append((kind, folder.sub(str(entry.get("path") or ""))))
    return entries


def transformer_settings(module: Module) -> dict[str, Any]:
    """The `sentence_bert_config.json` of a Transformer module.

    Raises:
        NotNative: it asks for something else than the hidden vectors of a text.
    """
    settings = module.folder.object("sentence_bert_config.json", optional=True)
    task = settings.get("transformer_task", "feature-extraction")
    modalities = settings.get("modality_config") or {"text": None}
    if task != "feature-extraction" or "text" not in modalities or "message" in modalities:
        raise NotNative(f"its Transformer module is made for {task!r} on {', '.join(modalities)}")
    if settings.get("processing_kwargs"):
        raise NotNative("its Transformer module has processing_kwargs of its own")
    return settings


def side_prompts(settings: Mapping[str, Any]) -> tuple[str, str]:
    """The prompts of the query and of the document side, "" where there is none.

    A side takes the first that the folder has of the names that sentence-transformers tries,
    `query`, and `document`, `passage`, `corpus`, and else the one that `default_prompt_name` names.
    """
    prompts = settings.get("prompts") or {}
    default = settings.get("default_prompt_name")

    def first(*names: str) -> str:
        for name in (*names, default):
            if isinstance(prompts.get(name), str):
                return str(prompts[name])
        return ""

    return first("query"), first("document", "passage", "corpus")


def read_projection(module: Module, *, default_activation: type[nn.Module] = nn.Tanh) -> Projection:
    """A Dense module with its weights.

    Raises:
        CheckpointError: its configuration or weights are broken.
        NotNative: its activation is not one of torch's.
    """
    config, name = module.config, module.folder.name
    path = config.get("activation_function")
    activation = default_activation
    if path is not None:
        known = ACTIVATIONS.get(str(path).rsplit(".", 1)[-1])
        if known is None or not str(path).startswith("torch.nn."):
            raise NotNative(f"its Dense module activates with {path}")
        activation = known
    sizes = [config.get("in_features"), config.get("out_features")]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise CheckpointError(
            f"{name}: config.json gives in_features and out_features as {sizes}, "
            "expected two positive numbers"
        )
    with torch.device("meta"):
        projection = Projection(
            int(sizes[0] or 0),
            int(sizes[1] or 0),
            bias=bool(config.get("bias", True)),
            activation=activation(),
            residual=bool(config.get("use_residual", False)),
        )
    fill(projection, read_tensors(module.folder), name)
    return projection


def input_vectors(module: Module, default: str) -> str:
    """Which vectors a Dense or Normalize module works on: "token_embeddings" or
    "sentence_embedding".

    Raises:
        NotNative: it writes its output elsewhere than it reads.
    """
    source = module.config.get("module_input_name") or default
    target = module.config.get("module_output_name") or source
    if source != target or source not in ("token_embeddings", "sentence_embedding"):
        raise NotNative(f"its {module.kind} module reads {source!r} and writes {target!r}")
    return str(source)


def pooling_modes(module: Module) -> tuple[str, ...]:
    """The modes that a Pooling module pools in, from its old or new keys.

    Raises:
        CheckpointError: one is not known.
    """
    config = module.config
    modes = config.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in _OLD_POOLING_KEYS.items() if config.get(key)] or ["mean"]
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    unknown = [mode for mode in modes if mode not in POOLING_MODES]
    if unknown or not modes:
        raise CheckpointError(
            f"{module.folder.name}: pools by {unknown or modes}, "
            f"expected {', '.join(POOLING_MODES)}"
        )
    return modes


def check_similarity(folder: Folder, similarity: str, normalised: bool) -> None:
    """Refuse a model that compares vectors by more than their direction.

    Raises:
        CheckpointError: it does.
    """
    if similarity != "cosine" and not normalised:
        raise CheckpointError(
            f"{folder.name}: compares vectors of any length by {similarity!r}; only models for "
            "cosine similarity, or that normalise their vectors, can be used"
        )
