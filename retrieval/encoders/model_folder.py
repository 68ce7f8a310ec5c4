"""The package's own format of a model: one folder that the CPU runtime and torch both read.

config.json         a ModernBERT's configuration, and a section "retrieval" (`ModelSettings`)
tokenizer.json      a fast tokenizer
model.safetensors   the weights, int8 or f32 (`retrieval.encoders.model.quantized`)
model.onnx          the network for the CPU runtime; it holds no weights of its own
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from retrieval.errors import CheckpointError

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "model.safetensors"
GRAPH_FILE = "model.onnx"

SECTION = "retrieval"
"""The key of config.json that tells this format from others."""

DENSE_HEAD = "dense_head.weight"
TOKEN_HEAD = ("token_head.skip.weight", "token_head.up.weight", "token_head.down.weight")
NEAR = "token_head.near.weight"
"""What the token head reads of the neighbours' embeddings. A model may go without."""

QUERY_WEIGHTS = "query_token_weights"
"""f32 [vocabulary]: what a query token counts next to the others. A model may go without."""

# What decides the vectors. The graph does not: it computes what the configuration says.
_DECISIVE = (CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE)


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How texts go in and what comes out: the section "retrieval" of config.json.

    Attributes:
        name: to show; "" takes the folder's.
        max_tokens: longest document, special tokens included; the rest is cut off.
        query_max_tokens: longest query.
        document_prefix: put before every document.
        query_prefix: put before every query.
        token_skiplist: words of one token each, such as punctuation; a document's tokens of these
            words are read, but left out of its token vectors.
        dense_window: a document gets one dense vector for each run of at most so many of its
            tokens, all of them read in the context of the whole; None: one for all.
    """

    name: str = ""
    max_tokens: int = 512
    query_max_tokens: int = 512
    document_prefix: str = ""
    query_prefix: str = ""
    token_skiplist: tuple[str, ...] = ()
    dense_window: int | None = None

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], *, max_positions: int) -> ModelSettings:
        """Read the section; keys that are not known are passed over.

        Raises:
            CheckpointError: a value has the wrong type or range.
        """
        values: dict[str, Any] = {}
        for key in ("name", "document_prefix", "query_prefix"):
            values[key] = raw.get(key, "")
            if not isinstance(values[key], str):
                raise CheckpointError(f"{_at(key)} is {values[key]!r}, expected a string")
        for key in ("max_tokens", "query_max_tokens"):
            default = min(512, max_positions)
            values[key] = raw.get(key, default)
            if type(values[key]) is not int or not 3 <= values[key] <= max_positions:
                raise CheckpointError(
                    f"{_at(key)} is {values[key]!r}, expected a number from 3 to {max_positions}"
                )
        skiplist = raw.get("token_skiplist", ())
        if not isinstance(skiplist, list | tuple) or not all(isinstance(w, str) for w in skiplist):
            raise CheckpointError(f"{_at('token_skiplist')} is no list of strings, expected one")
        window = raw.get("dense_window")
        if window is not None and (type(window) is not int or window < 1):
            raise CheckpointError(
                f"{_at('dense_window')} is {window!r}, expected a number from 1 on, or null"
            )
        return cls(**values, token_skiplist=tuple(skiplist), dense_window=window)

    def to_dict(self) -> dict[str, Any]:
        """The section as it is written."""
        return asdict(self)


def _at(key: str) -> str:
    return f'{CONFIG_FILE}: "{SECTION}": {key}'


def read_config(folder: Path) -> dict[str, Any]:
    """The contents of a model folder's config.json.

    Raises:
        CheckpointError: it is missing, not JSON, or has no section "retrieval".
    """
    path = folder / CONFIG_FILE
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON ({error}): fetch the model again") from None
    if not isinstance(contents, dict) or not isinstance(contents.get(SECTION), dict):
        raise CheckpointError(
            f'{path}: has no section "{SECTION}", so this is no model of this package: '
            "run other checkpoints with retrieval[torch]"
        )
    return contents


def fingerprint(folder: Path) -> str:
    """Hex digest over a model folder's configuration, tokenizer and weights.

    Raises:
        CheckpointError: a file is missing or cannot be read.
    """
    digest = hashlib.sha256()
    for name in _DECISIVE:
        try:
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise CheckpointError(
                f"{folder / name}: cannot be read ({error.strerror or error})"
            ) from None
    return digest.hexdigest()
