"""The encoder of an index: remembered by its source and fingerprint, loaded on first use."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from retrieval.errors import EncoderError, EncoderMismatch, InputError
from retrieval.files.places import absolute_source
from retrieval.index.long_context import PassageEncoder
from retrieval.indexes import token_dim_problem
from retrieval.numeric import is_whole
from retrieval.store import Settings
from retrieval.types import Encoder, EncoderSource, LateOptions

PASSAGE_TOKENS = 256
"""The longest passage of an index that is told nothing else."""

OBJECT = ""
"""The stored source of an encoder that was handed over as an object."""

PRECOMPUTED = "precomputed:"
"""The stored source of a `Precomputed` encoder, which its name and dimensions make again."""

_MEMBERS = (
    "name", "fingerprint", "dense_dim", "token_dim", "max_tokens",
    "token_spans", "encode_documents", "encode_queries",
)  # fmt: skip


def load(source: str | None) -> Encoder:
    """The encoder at a folder or Hub id; None is the embedded model."""
    from retrieval.encoders import load_encoder  # here, so that a lexical search never pays for it

    return load_encoder(source)


def remember(
    encoder: EncoderSource | None,
    passage_tokens: int | None,
    late: LateOptions | None,
    long_context: bool,
) -> tuple[Encoder, Settings]:
    """The encoder of a new index and what the index stores of it.

    Args:
        passage_tokens: see `passage_length`.

    Raises:
        InputError: `passage_tokens` is not a length that the encoder reads, or `late` is no
            LateOptions, or has a distance for a pooling that there is not.
        EncoderError: it cannot be loaded, has neither a dense nor a token head, token vectors of a
            dimension that cannot be stored, or cannot read passages together for `long_context`.
    """
    if late is not None and not isinstance(late, LateOptions):
        raise InputError(f"late={late!r} cannot be used; give retrieval.LateOptions or None")
    late = late or LateOptions()
    if late.pooling_distance is not None and late.pooling == 1:
        raise InputError(
            f"pooling_distance={late.pooling_distance} changes nothing where pooling is 1; "
            "give pooling=2, 3 or 4, too"
        )
    if isinstance(encoder, str | os.PathLike):
        source: str | None = absolute_source(os.fspath(encoder))
        loaded = load(source)
    elif encoder is None:
        source, loaded = None, load(None)
    else:
        source, loaded = _source_of(encoder), _checked(encoder)
    if loaded.dense_dim is None and loaded.token_dim is None:
        raise EncoderError(
            f"encoder {loaded.name!r} has neither a dense nor a token head; "
            "an index needs one that has at least one of them"
        )
    problem = None if loaded.token_dim is None else token_dim_problem(loaded.token_dim)
    if problem is not None:
        raise EncoderError(f"encoder {loaded.name!r}: {problem}; choose another encoder")
    length = passage_length(loaded, passage_tokens)
    if not isinstance(long_context, bool):
        raise InputError(f"long_context={long_context!r} cannot be used; give True or False")
    PassageEncoder(loaded, long_context=long_context)
    return loaded, Settings(
        encoder_name=loaded.name,
        encoder_source=source,
        fingerprint=loaded.fingerprint,
        dense_dim=loaded.dense_dim,
        token_dim=loaded.token_dim,
        passage_tokens=length,
        late=late,
        long_context=long_context,
    )


def passage_length(encoder: Encoder, wanted: int | None) -> int:
    """The longest passage, in tokens.

    Args:
        wanted: None is `PASSAGE_TOKENS`, or what the encoder reads if that is less.

    Raises:
        InputError: it is not a length that the encoder reads.
    """
    if wanted is None:
        return min(PASSAGE_TOKENS, encoder.max_tokens)
    if not is_whole(wanted) or not 1 <= wanted <= encoder.max_tokens:
        raise InputError(
            f"passage_tokens={wanted!r} does not fit encoder {encoder.name!r}; "
            f"give a number from 1 to {encoder.max_tokens}"
        )
    return int(wanted)


class EncoderSlot:
    """Holds the encoder of one open index; loads it when it is first asked for.

    An encoder that is given as an object, or by another source than the stored one, is held
    against the stored fingerprint at once; the stored one when it is loaded.
    """

    def __init__(
        self, folder: Path | str, settings: Settings, given: EncoderSource | None = None
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._lock = threading.Lock()
        self._encoder: Encoder | None = None
        self._asked = False  # for the stored source, by whoever opened the index
        if isinstance(given, str | os.PathLike):
            source = absolute_source(os.fspath(given))
            self._asked = source == settings.encoder_source
            if not self._asked:
                self._encoder = self._matching(load(source))
        elif given is not None:
            self._encoder = self._matching(_checked(given))

    def get(self) -> Encoder:
        """The encoder, loaded if it is not yet.

        Raises:
            EncoderMismatch: what loads now is not what the index was built with.
            EncoderError: it cannot be loaded.
        """
        with self._lock:
            if self._encoder is None:
                if self._settings.encoder_source == OBJECT:
                    raise EncoderError(
                        f"the index at {self._folder} was built with an Encoder object, "
                        f"{self._settings.encoder_name!r}; open it with "
                        "Index.open(path, encoder=...)"
                    )
                self._encoder = self._matching(self._load())
            return self._encoder

    def to_pickle(self) -> Encoder | None:
        """What another process opens the index with: the encoder itself if nothing names it."""
        return self._encoder if self._settings.encoder_source == OBJECT else None

    def _load(self) -> Encoder:
        settings = self._settings
        if settings.encoder_source != PRECOMPUTED:
            if self._asked or settings.encoder_source is None:
                return load(settings.encoder_source)
            from retrieval.encoders.checkpoints import without_network

            with without_network():  # an index may come from a stranger, and so what it names
                return load(settings.encoder_source)
        from retrieval.encoders import Precomputed

        return Precomputed(settings.dense_dim, settings.token_dim, settings.encoder_name)

    def _matching(self, encoder: Encoder) -> Encoder:
        settings = self._settings
        if encoder.fingerprint != settings.fingerprint:
            raise EncoderMismatch(
                f"the index at {self._folder} was built by encoder {settings.encoder_name!r} "
                f"({settings.fingerprint[:12]}), not by {encoder.name!r} "
                f"({encoder.fingerprint[:12]}); open it with the first, or build a new index "
                "with the second"
            )
        return encoder


def _source_of(encoder: Encoder) -> str | None:
    """What the encoder can be loaded from again; OBJECT if nobody knows."""
    from retrieval.encoders import Precomputed, source_of

    if isinstance(encoder, Precomputed):
        return PRECOMPUTED
    known = source_of(encoder)
    return OBJECT if known is None else known.source


def _checked(value: Encoder) -> Encoder:
    lacks = [name for name in _MEMBERS if not hasattr(value, name)]
    if lacks:
        raise InputError(
            f"encoder={value!r} is not an encoder: it has no {', '.join(lacks)}; give a "
            "retrieval.types.Encoder, a folder, a Hub id or None"
        )
    return value
