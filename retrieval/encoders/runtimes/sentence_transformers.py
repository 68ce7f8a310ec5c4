"""Checkpoints that our own network does not run, through sentence-transformers 6, as an Encoder.

Slower than our own network, since texts are padded, but it knows every architecture. Weights are
read from safetensors only here too, and a checkpoint's own code is not run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders.checkpoints import Folder, Format
from retrieval.encoders.dynamic_batching import DynamicBatching, at_once, weakly
from retrieval.encoders.packing import pack
from retrieval.encoders.runtimes.base import Runtime
from retrieval.encoders.runtimes.forks import check_process
from retrieval.encoders.tokenization import clean, failures_as_errors, leading
from retrieval.errors import CheckpointError, MissingDependency
from retrieval.files.regular import open_regular
from retrieval.ragged import offsets_of, rows_of
from retrieval.types import Embeddings, EncoderSide

if TYPE_CHECKING:
    from tokenizers import Tokenizer

INSTALL = "pip install 'modernbert-retrieval[st]'"

CPU_BUDGET = 4_096
CUDA_BUDGET = 32_768

_SETTINGS_SUFFIXES = frozenset(
    {".json", ".safetensors", ".txt", ".model", ".metadata"}
    | {".jinja", ".vocab", ".bpe", ".spm", ".tiktoken"}
)


class SentenceTransformersEncoder(Runtime):
    """Implements `retrieval.types.Encoder`: dense or token vectors, as the checkpoint has them."""

    def __init__(self, model: Any, *, name: str, fingerprint: str, late: bool) -> None:
        """Wrap a loaded model.

        Args:
            model: a `SentenceTransformer`, or a `MultiVectorEncoder` if `late`.
        """
        from retrieval.encoders.checkpoints.modules import side_prompts

        super().__init__(name=name, tokenizer=_own_tokenizer(model, name), fingerprint=fingerprint)
        self._model, self._late = model, late
        self._budget = CUDA_BUDGET if model.device.type == "cuda" else CPU_BUDGET
        # One batch at a time: the model's tokenizer keeps state between calls.
        self._batching: DynamicBatching[tuple[str, int]] = DynamicBatching(
            at_once(weakly(self._run)), budget=self._budget
        )
        own = getattr(model[0], "document_length", None) if late else None
        self._limit = int(own or model.max_seq_length or 512)
        settings = {"prompts": model.prompts, "default_prompt_name": model.default_prompt_name}
        query, document = (
            len(self.token_spans(prompt)) if prompt else 0 for prompt in side_prompts(settings)
        )
        self._prompt_tokens: Mapping[EncoderSide, int] = {"query": query, "document": document}
        self.max_tokens = max(0, self._limit - document)
        width = int(self._vectors(["a"], "document")[0].shape[-1])
        self.dense_dim = None if late else width
        self.token_dim = width if late else None

    def _encode(self, texts: Sequence[str], side: EncoderSide) -> Embeddings:
        check_process(self.name)
        texts = self._readable(texts)
        lengths = self._lengths(texts) + self._prompt_tokens[side]
        lengths = np.minimum(lengths, self._limit).tolist()
        read = list(zip(texts, lengths, strict=True))
        return self._batching.encode(side, read, lambda one: one[1])

    def _run(self, side: EncoderSide, read: Sequence[tuple[str, int]]) -> Embeddings:
        """Texts with their tokens' numbers to their embeddings, in the order given."""
        texts = [text for text, _ in read]
        lengths = [length for _, length in read]
        batches = list(pack(lengths, self._budget))
        made = [self._vectors([texts[i] for i in batch], side) for batch in batches]
        if not self._late:
            dense = np.zeros((len(texts), self.dense_dim or 0), np.float32)
            for batch, vectors in zip(batches, made, strict=True):
                dense[batch] = vectors
            return Embeddings(dense, None, None, tokens_read=np.array(lengths, np.int64))
        counts = np.zeros(len(texts), np.int64)
        for batch, vectors in zip(batches, made, strict=True):
            counts[batch] = [len(rows) for rows in vectors]
        offsets = offsets_of(counts)
        rows = np.zeros((int(offsets[-1]), self.token_dim or 0), np.float32)
        for batch, vectors in zip(batches, made, strict=True):
            rows[rows_of(offsets, batch)] = np.concatenate(vectors)
        return Embeddings(None, rows, offsets, tokens_read=np.array(lengths, np.int64))

    def _vectors(self, texts: list[str], side: EncoderSide) -> list[NDArray[np.float32]]:
        """One array a text: f32 [D], or f32 [t, d]."""
        encode = self._model.encode_query if side == "query" else self._model.encode_document
        made = encode(
            texts,
            batch_size=len(texts),
            convert_to_numpy=True,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return [np.asarray(vectors, np.float32) for vectors in made]

    def _readable(self, texts: Sequence[str]) -> list[str]:
        """The texts without lone surrogates, and of a long one only a beginning."""
        return [clean(leading(self._tokenizer, text, self._limit)) for text in texts]

    def _lengths(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Tokens of each text, special ones included; at least 1."""
        with failures_as_errors():
            encodings = self._tokenizer.encode_batch_fast(texts)
        return np.array([max(1, len(encoding.ids)) for encoding in encodings], np.int64)


def load(
    folder: Folder, kind: Format, reason: str, *, device: str | None = None
) -> SentenceTransformersEncoder:
    """Load a checkpoint that our own network cannot run.

    Args:
        kind: what `detect` says of it.
        reason: why it is not run by our own network.

    Raises:
        MissingDependency: sentence-transformers 6 is not installed.
        CheckpointError: the checkpoint is unsafe, or sentence-transformers cannot load it.
    """
    from retrieval.encoders.checkpoints.modules import check_similarity, module_folders
    from retrieval.encoders.checkpoints.weights import weight_files

    late = kind in ("multi-vector", "stanford")
    folders = module_folders(folder)
    for part in folders:
        # A module without weights has no file of either kind; one with a pickle alone is refused.
        if any(part.path.glob("*.safetensors")) or any(part.path.glob("*.bin")):
            weight_files(part)
    library = package(folder.name, reason)
    from retrieval.encoders.runtimes.torch import choose_device, default_dtype

    chosen = choose_device(device)
    kind_of_model = library.MultiVectorEncoder if late else library.SentenceTransformer
    model = loaded(kind_of_model, folder, str(chosen), dtype=default_dtype(chosen))
    if not late:
        check_similarity(folder, model.similarity_fn_name, type(model[-1]).__name__ == "Normalize")
    return SentenceTransformersEncoder(
        model, name=folder.name, fingerprint=_digest(folder, folders), late=late
    )


def loaded(kind: Callable[..., Any], folder: Folder, device: str, **options: Any) -> Any:
    """A model of the library, of this class: from safetensors, without a network or foreign code.

    Args:
        options: for the network within.

    Raises:
        CheckpointError: the library cannot load it.
    """
    try:
        with _no_progress_bars():
            return kind(
                str(folder.path),
                device=device,
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True, **options},
            )
    except Exception as error:  # whatever a library of that size raises
        said = (str(error).strip() or repr(error)).splitlines()[0]
        raise CheckpointError(
            f"{folder.name}: sentence-transformers cannot load it ({said})"
        ) from error


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """transformers draws a bar of the weights that it loads, into pipes and logs of servers too."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def package(name: str, reason: str) -> Any:
    """The library, if it is there and new enough, for the model of this name.

    Raises:
        MissingDependency: it is not.
    """
    try:
        import sentence_transformers
    except ImportError:
        found = "is not installed"
    else:
        if hasattr(sentence_transformers, "MultiVectorEncoder"):
            return sentence_transformers
        found = f"is {sentence_transformers.__version__}, older than 6"
    raise MissingDependency(
        f"{name}: {reason}; it would run through sentence-transformers, which {found}: {INSTALL}"
    )


def _own_tokenizer(model: Any, name: str) -> Tokenizer:
    """A copy of the model's tokenizer without truncation and padding."""
    from tokenizers import Tokenizer

    backend = getattr(model.tokenizer, "backend_tokenizer", model.tokenizer)
    if not isinstance(backend, Tokenizer):
        raise CheckpointError(
            f"{name}: its tokenizer, a {type(backend).__name__}, has no fast version, "
            "which is needed to cut documents into passages"
        )
    copy = Tokenizer.from_str(backend.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def _digest(folder: Folder, parts: Iterable[Folder]) -> str:
    """Hex digest of the files that decide what the model makes."""
    digest = hashlib.sha256()
    files: set[Path] = set()
    for part in [folder, *parts]:
        found = part.path.iterdir() if part.path.is_dir() else ()
        files.update(path for path in found if path.suffix in _SETTINGS_SUFFIXES)
    for path in sorted(files):
        digest.update(f"\0{path.relative_to(folder.path).as_posix()}\0".encode())
        with open_regular(path) as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
