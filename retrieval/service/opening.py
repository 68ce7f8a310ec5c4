"""Opening an index, or creating it if there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from retrieval.errors import IndexCorrupted, IndexNotFound, InputError, RetrievalError
from retrieval.index import Index, IndexStatus
from retrieval.index.reading.verify import problems as find_problems
from retrieval.index.writing.create import unmake
from retrieval.indexes import LATE_MEMORY
from retrieval.store.rights import set_shared
from retrieval.store.schema import DATABASE
from retrieval.types import LateOptions


def open_or_create(
    folder: Path,
    *,
    encoder: str | None = None,
    passage_tokens: int | None = None,
    late: Mapping[str, float | None] | None = None,
    small: bool = False,
    long_context: bool | None = None,
    memory: int = LATE_MEMORY,
    shared: bool | None = None,
) -> Index:
    """Open the index at `folder`, or create it.

    Args:
        folder: the index's folder.
        encoder: folder or Hub id; None is what the index was built with, or the embedded model.
        passage_tokens: maximum length of passages; None is the index's, or the default of
            `Index.create`.
        late: fields of LateOptions by name; None is the index's, or the default.
        small: whether the options, given now or in an existing index, are `LateOptions.small()`.
        long_context: whether passages are read with their neighbours; None is the index's setting,
            or false.
        memory: bytes that compressing token vectors may use.
        shared: whether other users may read it; None leaves it as it is, or makes a new one
            private.

    Raises:
        InputError: a value cannot be used, or differs from the index's.
        EncoderMismatch: the index was built with another encoder.
    """
    given: Any = {name: value for name, value in (late or {}).items() if value is not None}
    try:
        index = Index.open(folder, encoder=encoder, memory=memory)
    except IndexNotFound:
        options = replace(LateOptions.small() if small else LateOptions(), **given)
        return Index.create(
            folder,
            encoder=encoder,
            passage_tokens=passage_tokens,
            late=options,
            long_context=bool(long_context),
            memory=memory,
            shared=bool(shared),
        )
    try:
        status = index.status()
        if small:
            usual = LateOptions.small()
            implied = {
                name: getattr(usual, name)
                for name in ("bits", "pooling", "pooling_distance")
                if name not in given
            }
            if any(getattr(status.late, name) != value for name, value in implied.items()):
                raise InputError(
                    f"the index at {folder} was not made with small=True; leave it out, or make a "
                    "new index"
                )
        replace(status.late, **given)  # refuses invalid values
        own = {"passage_tokens": passage_tokens, "long_context": long_context}
        given |= {name: value for name, value in own.items() if value is not None}
        _check_fixed(folder, status, given)
        if shared is not None:
            set_shared(folder, shared=shared)
    except BaseException:
        index.close()
        raise
    return index


@contextmanager
def not_left_empty(folder: Path) -> Iterator[None]:
    """Delete an index that the block created if it raises before a document was committed."""
    new = not is_index(folder)
    try:
        yield
    except BaseException:
        if new:
            # Errors here must not hide the block's own error.
            with suppress(RetrievalError, OSError):
                unmake(folder)
        raise


def is_index(folder: Path) -> bool:
    """Whether there is an index at `folder`, or the remains of one."""
    return (folder / DATABASE).exists()


def status_of(folder: Path, *, verify: bool) -> tuple[IndexStatus | None, list[str] | None]:
    """The status of the index at `folder`, and, if it is verified, the problems.

    Returns:
        The status, None if the index is too damaged to be opened, which the problems then explain;
        and the problems, None if it was not verified.
    """
    problems = find_problems(folder) if verify else None
    try:
        with Index.open(folder) as index:
            return index.status(), problems
    except IndexCorrupted:
        if not problems:
            raise
        return None, problems


def _check_fixed(folder: Path, status: IndexStatus, given: Mapping[str, int | bool]) -> None:
    """Refuse settings that differ from those the index was created with."""
    made_with = {
        "passage_tokens": status.passage_tokens,
        "long_context": status.long_context,
        **asdict(status.late),
    }
    for name, value in given.items():
        own = made_with[name]
        if value != own:
            raise InputError(
                f"the index at {folder} was made with {name}={own}, not with {name}={value}; "
                "leave it out, or make a new index"
            )
