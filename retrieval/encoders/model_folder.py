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
from retrieval.files.regular import open_regular, read_regular

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "model.safetensors"
GRAPH_FILE = "model.onnx"
MAX_JSON = 256 << 20
"""Bytes; JSON files of models beyond this size are not read."""

SECTION = "retrieval"
"""The key of config.json that tells this format from others."""

DENSE_HEAD = "dense_head.weight"
TOKEN_HEAD = ("token_head.skip.weight", "token_head.up.weight", "token_head.down.weight")
NEAR = "token_head.near.weight"
"""What the token head reads of the neighbours' embeddings. A model may go without."""

QUERY_WEIGHTS = "query_token_weights"
"""f32 [vocabulary]: what a query token counts next to the others. A model may go without."""

GRAPH = "graph"
"""The key, in the section, of the SHA-256 of the graph, in hex."""

# What decides the vectors; the graph by its checksum, which the configuration has.
_DECISIVE = (CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE)

_EARLIER_GRAPHS = {
    "c7736544d8a9739faa21da147703bc7e0b3308095c36bb6e449a6b69b337f009": (
        "1e734b0cc43ed124b1ff90a5a83ffe2f2bff2599ac2c1f2b168f8b667e4601a3"
    )
}
"""By fingerprint, the checksums of graphs of embedded models whose configuration has none."""

_VECTORS_OF = {
    "7937f201a7c628ee23aae996ebdd194befda2301e7b96737581e7ba9bb48455a": (
        "c7736544d8a9739faa21da147703bc7e0b3308095c36bb6e449a6b69b337f009"
    )
}
"""By the digest of their files, embedded models that have the vectors of an earlier one, whose
fingerprint this is, and only go without those of `token_skiplist`: an index of either is searched
by both."""


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
            raise CheckpointError(f"{_at('token_skiplist')} is not a list of strings")
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
        contents = json.loads(read_regular(path, max_bytes=MAX_JSON).decode("utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON ({error}): fetch the model again") from None
    if not isinstance(contents, dict) or not isinstance(contents.get(SECTION), dict):
        raise CheckpointError(
            f'{path}: has no section "{SECTION}", so this is not a model of this package: '
            "to run other checkpoints, pip install 'modernbert-retrieval[torch]'"
        )
    return contents


def fingerprint(folder: Path) -> str:
    """Hex digest over a model folder's configuration, tokenizer and weights.

    The graph is held against the checksum that the configuration has, whether it is to run or not:
    one that was altered would give other vectors on some machines only. Models that a release
    before exported have none.

    Raises:
        CheckpointError: a file is missing or cannot be read, or the graph is another one.
    """
    whole = hashlib.sha256()
    for name in _DECISIVE:
        whole.update(_digest(folder / name).digest())
    found = whole.hexdigest()
    found = _VECTORS_OF.get(found, found)
    graph = read_config(folder)[SECTION].get(GRAPH, _EARLIER_GRAPHS.get(found))
    path = folder / GRAPH_FILE
    if graph is not None and path.exists() and _digest(path).hexdigest() != graph:
        raise CheckpointError(
            f"{path}: is not the graph that {CONFIG_FILE} names by its checksum: "
            "fetch or export the model again"
        )
    return found


def _digest(path: Path) -> hashlib._Hash:
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
