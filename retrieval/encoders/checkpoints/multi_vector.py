"""Late-interaction folders with a modules.json: PyLate 1.x, and sentence-transformers 6.

The two describe the same model in two ways. PyLate keeps lengths, expansion, prefixes and skiplist
in `config_sentence_transformers.json` and inserts a prefix as one token after the first; the
`MultiVectorEncoder` of sentence-transformers keeps them with its modules and puts prefixes before
the text as prompts.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer
from torch import nn

from retrieval.encoders.checkpoints.folder import Folder, NotNative
from retrieval.encoders.checkpoints.modules import (
    Module,
    input_vectors,
    read_modules,
    read_projection,
    side_prompts,
    transformer_settings,
)
from retrieval.encoders.checkpoints.sentence_transformers import SETTINGS
from retrieval.encoders.checkpoints.tokenizer import (
    expansion_token,
    longest_text,
    read_tokenizer,
    token_ids,
)
from retrieval.encoders.checkpoints.transformers import read_config, read_trunk
from retrieval.encoders.model.heads import ProjectedTokens, UnitLength
from retrieval.encoders.model.network import Checkpoint, Network
from retrieval.encoders.sides import Expansion, Side
from retrieval.errors import CheckpointError

_QUERY_LENGTH, _DOCUMENT_LENGTH = 32, 180


def read(folder: Folder) -> Checkpoint:
    """A pipeline of token vectors.

    Raises:
        CheckpointError: a file is missing or broken.
        NotNative: it has a module, or a setting of one, that is not known here.
    """
    settings = folder.object(SETTINGS, optional=True)
    modules = read_modules(folder)
    root = modules[0].folder
    config = read_config(root)
    transformer = transformer_settings(modules[0])
    lower = bool(transformer.get("do_lower_case", False))
    tokenizer, vocabulary = read_tokenizer(root, config.vocab_size, lower=lower)
    if settings.get("model_type") == "MultiVectorEncoder":
        longest = transformer.get("max_seq_length") or longest_text(root, config.max_positions)
        document, query = _native_sides(
            root, tokenizer, modules, settings, transformer, int(longest)
        )
        steps = _native_steps(modules)
    else:
        document, query = _pylate_sides(root, tokenizer, settings)
        steps = _pylate_steps(modules)
    return Checkpoint(
        folder.name,
        Network(read_trunk(root), tokens=ProjectedTokens(steps)),
        tokenizer,
        vocabulary,
        document=document,
        query=query,
    )


def _native_steps(modules: Sequence[Module]) -> list[nn.Module]:
    """What projects a token's hidden vector: the Dense modules, and Normalize between them."""
    steps: list[nn.Module] = []
    for module in modules[1:]:
        if module.kind == "MultiVectorMask":
            continue
        if module.kind not in ("Dense", "Normalize"):
            raise NotNative(f"it has a {module.kind} module")
        if module.kind == "Dense":
            if input_vectors(module, "token_embeddings") != "token_embeddings":
                raise NotNative("it has a Dense module that works on pooled vectors")
            steps.append(read_projection(module))
        elif input_vectors(module, "sentence_embedding") == "token_embeddings":
            steps.append(UnitLength())
    return steps


def _pylate_steps(modules: Sequence[Module]) -> list[nn.Module]:
    """The Dense modules: PyLate has them all work on tokens, and drops every other module."""
    return [read_projection(module) for module in modules if module.kind == "Dense"]


def _pylate_sides(
    folder: Folder, tokenizer: Tokenizer, settings: Mapping[str, Any]
) -> tuple[Side, Side]:
    """The sides as PyLate's `ColBERT` has them; what its configuration leaves out it defaults."""
    prompts = dict(zip(("query", "document"), side_prompts(settings), strict=True))

    def setting(key: str, default: Any) -> Any:
        value = settings.get(key)
        return default if value is None else value

    def side(name: str, prefix: str, length: int, **rest: Any) -> Side:
        marker = tokenizer.token_to_id(prefix) if prefix else None
        # A prefix that the vocabulary does not have is read as text.
        prompt = prompts[name] if marker is not None else prefix + prompts[name]
        return Side(length, prompt=prompt, marker=marker, strip=True, **rest)

    length = _length(folder, "query_length", setting("query_length", _QUERY_LENGTH))
    expansion = None
    if setting("do_query_expansion", True):
        attend = bool(setting("attend_to_expansion_tokens", False))
        expansion = Expansion(expansion_token(folder, tokenizer), length, attend)
    document = side(
        "document",
        str(setting("document_prefix", "[D] ")),
        _length(folder, "document_length", setting("document_length", _DOCUMENT_LENGTH)),
        skipped=token_ids(tokenizer, setting("skiplist_words", string.punctuation)),
    )
    query = side("query", str(setting("query_prefix", "[Q] ")), length, expansion=expansion)
    return document, query


def _native_sides(
    folder: Folder,
    tokenizer: Tokenizer,
    modules: Sequence[Module],
    settings: Mapping[str, Any],
    transformer: Mapping[str, Any],
    longest: int,
) -> tuple[Side, Side]:
    """The sides as the `MultiVectorEncoder` of sentence-transformers has them."""
    skipped: dict[str, tuple[int, ...]] = {"query": (), "document": ()}
    for module in modules:
        if module.kind != "MultiVectorMask":
            continue
        if module.config.get("keep_only_token_ids"):
            raise NotNative("its MultiVectorMask keeps the vectors of certain tokens only")
        tasks = module.config.get("skiplist_tasks") or ["document"]
        for task in [tasks] if isinstance(tasks, str) else tasks:
            skipped[str(task)] = token_ids(tokenizer, module.config.get("skiplist_words") or ())

    at_most = _length(folder, "query_length", transformer.get("query_length") or longest)
    expansion = None
    wanted = transformer.get("query_expansion")
    if wanted is not None:
        if not isinstance(wanted, dict) or wanted.get("strategy") not in ("fixed", "min"):
            raise NotNative(f"its query_expansion is {wanted!r}")
        filled = _length(folder, "query_expansion's length", wanted.get("length"))
        at_most = filled if wanted["strategy"] == "fixed" else max(at_most, filled)
        token = expansion_token(folder, tokenizer, wanted.get("token"))
        expansion = Expansion(token, filled, bool(wanted.get("attend", False)))
    limit = _length(folder, "document_length", transformer.get("document_length") or longest)
    query_prompt, document_prompt = side_prompts(settings)
    return (
        Side(limit, prompt=document_prompt, skipped=skipped["document"]),
        Side(at_most, prompt=query_prompt, expansion=expansion, skipped=skipped["query"]),
    )


def _length(folder: Folder, name: str, value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise CheckpointError(f"{folder.name}: {name} is {value!r}, expected a positive number")
    return value
