"""The encoder of an index: stored as source and fingerprint, loaded on first use."""

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
"""Default maximum length of passages."""

OBJECT = ""
"""The stored source of an encoder that was given as an object."""

PRECOMPUTED = "precomputed:"
"""The stored source of a `Precomputed` encoder, recreated from name and dimensions."""

_MEMBERS = (
    "name", "fingerprint", "dense_dim", "token_dim", "max_tokens",
    "token_spans", "encode_documents", "encode_queries",
)  # fmt: skip


def load(source: str | None) -> Encoder:
    """Load the encoder from a folder or Hub id; None is the embedded model."""
    # imported here, so that a lexical search does not pay for it
    from retrieval.encoders import load_encoder

    return load_encoder(source)


def remember(
    encoder: EncoderSource | None,
    passage_tokens: int | None,
    late: LateOptions | None,
    long_context: bool,
) -> tuple[Encoder, Settings]:
    """The encoder of a new index and the settings that the index stores.

    Args:
        passage_tokens: see `passage_length`.

    Raises:
        InputError: `passage_tokens` is not a length that the encoder reads, or `late` is not
            LateOptions, or has a distance without pooling.
        EncoderError: the encoder cannot be loaded, has neither a dense nor a token head, has token
            vectors of a
            dimension that cannot be stored, or cannot read passages together for `long_context`.
    """
    if late is not None and not isinstance(late, LateOptions):
        raise InputError(f"late={late!r} cannot be used; give retrieval.LateOptions or None")
    late = late or LateOptions()
    if late.pooling_distance is not None and late.pooling == 1:
        raise InputError(
            f"pooling_distance={late.pooling_distance} changes nothing where pooling is 1; "
            "give pooling=2, 3 or 4 as well"
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
            "an index needs one with at least one of them"
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
    """The maximum length of passages, in tokens.

    Args:
        wanted: None is `PASSAGE_TOKENS`, or the encoder's maximum if that is less.

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
    """Holds the encoder of one open index; loads it on first use.

    An encoder that is given as an object, or by a source other than the stored one, is compared
    with the stored fingerprint at once; the stored one when it is loaded.
    """

    def __init__(
        self, folder: Path | str, settings: Settings, given: EncoderSource | None = None
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._lock = threading.Lock()
        self._encoder: Encoder | None = None
        self._asked = False  # whether the caller named the stored source explicitly
        if isinstance(given, str | os.PathLike):
            source = absolute_source(os.fspath(given))
            self._asked = source == settings.encoder_source
            if not self._asked:
                self._encoder = self._matching(load(source))
        elif given is not None:
            self._encoder = self._matching(_checked(given))

    def get(self) -> Encoder:
        """The encoder, loaded on first use.

        Raises:
            EncoderMismatch: the encoder at the source is no longer the one that the index was built
                with.
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
        """The encoder for opening the index in another process, if it cannot be loaded by name."""
        return self._encoder if self._settings.encoder_source == OBJECT else None

    def _load(self) -> Encoder:
        settings = self._settings
        if settings.encoder_source != PRECOMPUTED:
            if self._asked or settings.encoder_source is None:
                return load(settings.encoder_source)
            from retrieval.encoders.checkpoints import without_network

            with without_network():  # an index, and the source it names, may come from a stranger
                return load(settings.encoder_source)
        from retrieval.encoders import Precomputed

        return Precomputed(settings.dense_dim, settings.token_dim, settings.encoder_name)

    def _matching(self, encoder: Encoder) -> Encoder:
        settings = self._settings
        if encoder.fingerprint != settings.fingerprint:
            raise EncoderMismatch(
                f"the index at {self._folder} was built with encoder {settings.encoder_name!r} "
                f"({settings.fingerprint[:12]}), not with {encoder.name!r} "
                f"({encoder.fingerprint[:12]}); open it with the first, or build a new index "
                "with the second"
            )
        return encoder


def _source_of(encoder: Encoder) -> str | None:
    """The source that the encoder can be loaded from again; OBJECT if there is none."""
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
