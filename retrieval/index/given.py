"""Vectors that callers supply, checked and converted to the form that an index stores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import EncoderError, InputError
from retrieval.ragged import offsets_of, rows_of
from retrieval.store import Settings
from retrieval.types import Embeddings, EncoderSide

READER = "vectors:"
"""Prefix of the stored reader of a document with supplied vectors; their digest follows."""

_UNIT = 1e-3  # rows this close to unit length are not rescaled
_SHORT, _LONG = 1e-15, 1e15  # lengths between which squares in f32 are exact enough


def of_documents(embeddings: Embeddings | ArrayLike, count: int, settings: Settings) -> Embeddings:
    """The embeddings of so many texts, of unit length.

    Args:
        embeddings: Embeddings of n texts, or dense vectors alone: [n, D].
        count: n.
        settings: of the index.

    Raises:
        InputError: they do not match the index or the number of passages.
    """
    given = embeddings
    if not isinstance(given, Embeddings):
        given = Embeddings(_array(given, settings.dense_dim, "dense"), None, None)
    dense = _checked(given.dense, settings.dense_dim, "dense")
    windows = _checked(given.windows, settings.dense_dim, "dense", needed=False)
    tokens = _checked(given.tokens, settings.token_dim, "token")
    if dense is not None and len(dense) != count:
        raise InputError(f"{len(dense)} dense vectors were given for {count} passages")
    offsets = _offsets(given.offsets, tokens, count, "offsets", least=0)
    bounds = _offsets(given.window_offsets, windows, count, "window_offsets", least=1)
    return Embeddings(
        _unit(dense, "dense"), _unit(tokens, "token"), offsets, _unit(windows, "dense"), bounds
    )


def of_query(vector: ArrayLike | None, tokens: ArrayLike | None, settings: Settings) -> Embeddings:
    """The embeddings of one query; its token vectors keep their lengths, which are weights.

    Args:
        vector: [D] or [1, D], or None.
        tokens: [m, d], at least one, or None.
        settings: of the index.

    Raises:
        InputError: the index cannot be searched by them.
    """
    dense = None
    if vector is not None:
        rows = _array(vector, settings.dense_dim, "dense", flat=True)
        if len(rows) != 1:
            raise InputError(f"vector has {len(rows)} rows; give one dense vector")
        dense = _unit(rows, "dense")
    if tokens is None:
        return Embeddings(dense, None, None)
    rows = _query_tokens(tokens, settings)
    if not len(rows):
        raise InputError("tokens has no row; give at least one token vector")
    return Embeddings(dense, rows, offsets_of([len(rows)]))


def of_queries(embeddings: Embeddings, settings: Settings) -> Embeddings:
    """The embeddings of queries, each like `of_query`.

    Raises:
        InputError: they are not Embeddings, or the index cannot be searched by them.
    """
    if not isinstance(embeddings, Embeddings):
        raise InputError(
            f"embeddings of type {type(embeddings).__name__} were given for queries; "
            "give Embeddings"
        )
    dense, tokens = embeddings.dense, embeddings.tokens
    if dense is None and tokens is None:
        raise InputError("embeddings without vectors were given for queries; give dense or tokens")
    if dense is not None:
        dense = _unit(_array(dense, settings.dense_dim, "dense"), "dense")
    offsets = None
    if tokens is not None:
        tokens = _query_tokens(tokens, settings)
        count = len(embeddings)
        offsets = _offsets(embeddings.offsets, tokens, count, "offsets", least=1)
    return Embeddings(dense, tokens, offsets)


def of_encoder(made: object, name: str, side: EncoderSide) -> Embeddings:
    """Check what an encoder returned and convert it to f32 of unit length.

    The token vectors of queries keep their lengths, which are weights; all-zero vectors stay as
    they are.

    Raises:
        EncoderError: it is not Embeddings, or contains something else than rows of numbers.
    """
    if not isinstance(made, Embeddings):
        raise EncoderError(
            f"encoder {name!r} returned {type(made).__name__}; give retrieval.Embeddings"
        )
    arrays = {key: getattr(made, key) for key in ("dense", "windows", "tokens")}
    for key, rows in arrays.items():
        try:
            arrays[key] = None if rows is None else np.ascontiguousarray(rows, np.float32)
        except (ValueError, TypeError, OverflowError) as error:
            raise EncoderError(
                f"encoder {name!r} returned {key} that is not an array of numbers ({error})"
            ) from error
        if rows is not None and arrays[key].ndim != 2:
            raise EncoderError(
                f"encoder {name!r} returned {key} of the shape {arrays[key].shape}; give a row of "
                "numbers for each"
            )
    if made.tokens is not None and made.offsets is None:
        raise EncoderError(f"encoder {name!r} returned tokens without offsets; give both")
    for key in ("dense", "windows", "tokens") if side == "document" else ("dense", "windows"):
        if arrays[key] is not None:
            arrays[key] = _scaled(*_measured(arrays[key]))
    return replace(made, **arrays)


def each(embeddings: Embeddings, counts: Iterable[int]) -> Iterator[Embeddings]:
    """Split embeddings into parts of these numbers of texts."""
    first = 0
    for count in counts:
        if first >= len(embeddings) and count:
            return
        last = first + count
        yield Embeddings(
            None if embeddings.dense is None else embeddings.dense[first:last],
            *_own(embeddings.tokens, embeddings.offsets, first, last),
            *_own(embeddings.windows, embeddings.window_offsets, first, last),
        )
        first = last


def without_vectors(each: Sequence[Embeddings | None], settings: Settings) -> Embeddings:
    """Dense vectors of texts, some of which have none: those get no window and are never found."""
    dim, token_dim = settings.dense_dim, settings.token_dim
    rows = [one.dense for one in each if one is not None and one.dense is not None]
    none = np.zeros(len(each) + 1, np.int64)
    dense = windows = None
    if dim is not None:
        windows = np.concatenate([np.empty((0, dim), np.float32), *rows])
        dense = np.zeros((len(each), dim), np.float32)
        dense[[one is not None for one in each]] = windows
    return Embeddings(
        dense,
        None if token_dim is None else np.empty((0, token_dim), np.float32),
        None if token_dim is None else none,
        windows,
        None if dim is None else offsets_of([one is not None for one in each]),
    )


def selected(embeddings: Embeddings | None, places: Sequence[int]) -> Embeddings | None:
    """The embeddings of the texts at these places, without windows."""
    if embeddings is None:
        return None
    if embeddings.windows is None and list(places) == list(range(len(embeddings))):
        return embeddings
    at = np.asarray(places, np.int64)
    dense, tokens, offsets = embeddings.dense, embeddings.tokens, embeddings.offsets
    if tokens is not None and offsets is not None:
        tokens, offsets = tokens[rows_of(offsets, at)], offsets_of(np.diff(offsets)[at])
    return Embeddings(None if dense is None else dense[at], tokens, offsets)


def reader_of(embeddings: Embeddings, spans: Sequence[tuple[int, int]] | None = None) -> str:
    """The stored reader of a document with these supplied vectors and passages."""
    digest = hashlib.sha256(b"" if spans is None else repr(spans).encode())
    for array in (embeddings.dense, embeddings.tokens, embeddings.windows):
        digest.update(b"-" if array is None else f"{array.shape}".encode() + array.tobytes())
    return f"{READER}{digest.hexdigest()[:32]}"


def is_given(reader: str | None) -> bool:
    """Whether this is the reader of a document with supplied vectors."""
    return reader is not None and reader.startswith(READER)


def _own(
    rows: NDArray[np.float32] | None, offsets: NDArray[np.int64] | None, first: int, last: int
) -> tuple[NDArray[np.float32] | None, NDArray[np.int64] | None]:
    if rows is None or offsets is None:
        return None, None
    bounds = offsets[first : last + 1]
    return rows[bounds[0] : bounds[-1]], bounds - bounds[0]


def _checked(
    vectors: Any, dim: int | None, what: str, *, needed: bool = True
) -> NDArray[np.float32] | None:
    if vectors is None:
        if dim is not None and needed:
            raise InputError(f"no {what} vectors were given; the index needs {dim} numbers each")
        return None
    return _array(vectors, dim, what)


def _array(vectors: Any, dim: int | None, what: str, *, flat: bool = False) -> NDArray[np.float32]:
    if dim is None:
        raise InputError(f"{what} vectors were given, but the index stores none; leave them out")
    try:
        with np.errstate(over="ignore"):  # a number that f32 cannot hold is refused as infinite
            rows = np.ascontiguousarray(vectors, np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{what} vectors are not an array of numbers ({error})") from error
    if flat and rows.ndim == 1:
        rows = rows[None]
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise InputError(
            f"{what} vectors have the shape {rows.shape}; expected rows of {dim} numbers"
        )
    if not np.isfinite(rows).all():
        raise InputError(f"a {what} vector holds NaN or infinity; give finite numbers")
    return rows


def _query_tokens(tokens: Any, settings: Settings) -> NDArray[np.float32]:
    """Token vectors of queries; their lengths are weights, and scores have to stay finite."""
    rows = _array(tokens, settings.token_dim, "token")
    if (_lengths(rows) > _LONG).any():
        raise InputError(f"a token vector of a query is longer than {_LONG:g}; give shorter ones")
    return rows


def _offsets(
    offsets: Any, rows: NDArray[np.float32] | None, count: int, name: str, *, least: int
) -> NDArray[np.int64] | None:
    if rows is None:
        return None
    bounds = np.asarray([] if offsets is None else offsets)
    if (
        bounds.shape != (count + 1,)
        or not np.issubdtype(bounds.dtype, np.integer)
        or bounds[0] != 0
        or bounds[-1] != len(rows)
        or (np.diff(bounds) < least).any()
    ):
        raise InputError(
            f"{name} does not assign {len(rows)} vectors to {count} passages; give "
            f"{count + 1} ascending numbers from 0 to {len(rows)}"
        )
    return bounds.astype(np.int64)


def _unit(rows: NDArray[np.float32] | None, what: str) -> NDArray[np.float32] | None:
    if rows is None:
        return None
    rows, lengths = _measured(rows)
    if not lengths.all():
        raise InputError(f"a {what} vector is all zeros, which has no direction; leave it out")
    return _scaled(rows, lengths)


def _scaled(rows: NDArray[np.float32], lengths: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows of unit length; all-zero, NaN and infinite ones are left as they are.

    Args:
        lengths: of the rows, f32 [n].
    """
    as_it_is = (np.abs(lengths - 1) <= _UNIT) | (lengths == 0) | ~np.isfinite(lengths)
    if as_it_is.all():
        return rows
    return np.asarray(rows / np.where(as_it_is, 1, lengths)[:, None], np.float32)


def _measured(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The rows, and the length of each, f32 [n]; rows so long or so short that their squares leave
    the range of f32 are brought within it, in the same direction."""
    lengths = _lengths(rows)
    far = np.flatnonzero(~((lengths > _SHORT) & (lengths < _LONG)))
    largest = np.abs(rows[far]).max(axis=1, initial=0)
    usable = (largest > 0) & np.isfinite(largest)
    if usable.any():
        near, far = rows.copy(), far[usable]
        near[far] /= largest[usable, None]
        lengths[far] = _lengths(near[far])
        return near, lengths
    return rows, lengths


def _lengths(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The length of each row, f32 [n]; four times as fast as numpy's norm."""
    with np.errstate(over="ignore"):
        lengths: NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return lengths
