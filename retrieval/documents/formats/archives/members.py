"""The files of an archive, one by one, within limits of number and size; nothing is written."""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

from retrieval.errors import DocumentError

MAX_MEMBERS = 10_000
MAX_MEMBER = 64 << 20
"""Bytes of one file, unpacked."""
MAX_UNPACKED = 512 << 20
"""Bytes of all files, unpacked, archives within the archive and their files included."""
MAX_RATIO = 300
"""Times its packed size a file of a megabyte or more may have."""

_LARGE = 1 << 20
_CHUNK = 1 << 16
_PACKED = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\0": "xz"}
_TAR = slice(257, 262)
_ENCRYPTED = 1
_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, ValueError, NotImplementedError, RuntimeError, OverflowError),
    *(LookupError, AttributeError),
)
"""What the standard library raises on archives that are damaged or that it cannot read."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive.

    Attributes:
        path: in the archive, with forward slashes and without `..`.
        content: its bytes.
        problem: why it was not read, or "".
    """

    path: str
    content: bytes = b""
    problem: str = ""


@dataclass(slots=True)
class Budget:
    """What may still be unpacked.

    Attributes:
        members: files.
        size: bytes.
    """

    members: int = MAX_MEMBERS
    size: int = MAX_UNPACKED

    def take(self, size: int) -> None:
        """Count so many bytes; raises DocumentError if they are too many."""
        self.size -= size
        if self.size < 0:
            raise DocumentError(
                f"holds more than {MAX_UNPACKED >> 20} MB unpacked; what comes after was not read"
            )

    def member(self) -> None:
        """Count a file; raises DocumentError if it is one too many."""
        self.members -= 1
        if self.members < 0:
            raise DocumentError(
                f"holds more than {MAX_MEMBERS:,} files; what comes after was not read"
            )


def members_of(data: bytes, name: str, budget: Budget) -> Iterator[Member]:
    """The files of an archive, in its order.

    Args:
        data: the archive.
        name: its name, by which a file that is packed alone is called.
        budget: what it may hold.

    Raises:
        DocumentError: it is not an archive, is damaged, or holds more than the budget allows; what
            came before is good.
    """
    try:
        if data.startswith(b"PK"):
            yield from _of_zip(data, budget)
        elif kind := next((kind for mark, kind in _PACKED.items() if data.startswith(mark)), ""):
            yield from _of_packed(data, kind, name, budget)
        elif data[_TAR] == b"ustar":
            yield from _of_tar(io.BytesIO(data), budget)
        else:
            raise DocumentError("is not a readable archive (zip, tar, gzip, bzip2 or xz)")
    except DocumentError:
        raise
    except _BROKEN as error:
        raise DocumentError(
            f"is an archive that is damaged ({type(error).__name__}); what comes after the damage "
            "was not read"
        ) from None


def _of_zip(data: bytes, budget: Budget) -> Iterator[Member]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for one in archive.infolist():
            budget.member()
            path = _path(one.filename)
            kind = one.external_attr >> 28  # of file, where a POSIX system wrote the archive
            if one.is_dir() or path is None or kind not in (0, 8):
                continue
            if one.flag_bits & _ENCRYPTED:
                yield Member(path, problem="is encrypted with a password")
                continue
            if one.file_size >= _LARGE and one.file_size > MAX_RATIO * one.compress_size:
                yield Member(path, problem=_ratio())
                continue
            try:
                with archive.open(one) as file:
                    yield _read(path, file, budget, packed=one.compress_size)
            except DocumentError:
                raise
            except _BROKEN as error:
                yield Member(path, problem=f"is damaged ({type(error).__name__})")


def _of_tar(stream: Any, budget: Budget, *, counted: bool = False) -> Iterator[Member]:
    # As a stream: there is no going back, and what is skipped counts as it is unpacked.
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for one in archive:
            budget.member()
            path = _path(one.name)
            file = archive.extractfile(one) if one.isreg() and path is not None else None
            if file is not None and path is not None:
                yield _read(path, file, None if counted else budget)


def _of_packed(data: bytes, kind: str, name: str, budget: Budget) -> Iterator[Member]:
    """The file, or the files of the tar, that is packed as a whole."""
    stream = _opened(data, kind)
    head = stream.read(_CHUNK)
    whole = _Unpacked(head, stream, budget, len(data))
    if head[_TAR] == b"ustar":
        yield from _of_tar(whole, budget, counted=True)
        return
    budget.member()
    own = PurePosixPath(name.rsplit("!/", 1)[-1]).name
    path = own[: own.rfind(".")] if own.lower().endswith(tuple(_PACKED.values())) else own
    yield _read(path or own, whole, None)


def _opened(data: bytes, kind: str) -> IO[bytes]:
    import bz2
    import gzip

    stream: Any = io.BytesIO(data)
    opened: Any = {"gz": gzip.GzipFile, "bz2": bz2.BZ2File, "xz": lzma.LZMAFile}[kind]
    made: IO[bytes] = opened(fileobj=stream) if kind == "gz" else opened(stream)
    return made


class _Unpacked(io.RawIOBase):
    """A stream whose bytes count as they are unpacked, and may not be too many for its size."""

    def __init__(self, head: bytes, stream: IO[bytes], budget: Budget, packed: int) -> None:
        self._head, self._stream, self._budget = head, stream, budget
        self._packed, self._size = packed, 0

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, or fewer at the end."""
        wanted = _CHUNK if size < 0 else size
        pieces = []
        while wanted > 0:
            piece = self._head[:wanted] or self._stream.read(min(wanted, _CHUNK))
            self._head = self._head[len(piece) :]
            if not piece:
                break
            self._size += len(piece)
            self._budget.take(len(piece))
            if self._size >= _LARGE and self._size > MAX_RATIO * self._packed:
                raise DocumentError(_ratio())
            pieces.append(piece)
            wanted -= len(piece)
        return b"".join(pieces)


def _read(path: str, file: Any, budget: Budget | None, packed: int = 0) -> Member:
    """A file's content; what is too much of it is not kept. None is counted already."""
    pieces, size = [], 0
    while piece := file.read(_CHUNK):
        size += len(piece)
        if budget is not None:
            budget.take(len(piece))
        if size > MAX_MEMBER:
            return Member(path, problem=f"has more than {MAX_MEMBER >> 20} MB unpacked")
        if packed and size >= _LARGE and size > MAX_RATIO * packed:
            return Member(path, problem=_ratio())
        pieces.append(piece)
    return Member(path, b"".join(pieces))


def _ratio() -> str:
    return f"unpacks to more than {MAX_RATIO} times its size, as bombs do"


def _path(name: str) -> str | None:
    """A member's path; None if it leads out of the archive or says nothing."""
    name = name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or not parts or "\0" in name or ":" in parts[0]:
        return None
    return "/".join(" ".join(part.split()) or "_" for part in parts)
