"""Zip files of XML parts: what office programs and book makers write, opened within limits."""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import unquote

from retrieval.documents.formats.office.xml_parts import Element, parse_xml
from retrieval.documents.naming import one_line
from retrieval.errors import DocumentError

MAX_MEMBERS: Final = 50_000
MAX_PART: Final = 64 * 1024 * 1024
"""Bytes of one part when it is unpacked: what is made of it needs ten times that."""
MAX_TOTAL: Final = 256 * 1024 * 1024
"""Bytes of all parts that are unpacked."""
MAX_RATIO: Final = 250
"""Text packs to a tenth or so, sheets of equal rows to a hundredth; what packs better is a trap."""
_RATIO_FROM: Final = 8 * 1024 * 1024
"""Bytes up to which the ratio does not matter."""
_CHUNK: Final = 1024 * 1024

_USUAL_MAIN: Final = (
    "word/document.xml", "ppt/presentation.xml", "xl/workbook.xml", "xl/workbook.bin",
)  # fmt: skip
OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""What the compound files of old office programs begin with, and encrypted ones of today."""
_ENCRYPTED_STREAM: Final = "EncryptedPackage".encode("utf-16-le")


@dataclass(frozen=True, slots=True)
class Relation:
    """What a part of an OOXML file refers to.

    Attributes:
        kind: the last word of its type: `slide`, `footnotes`, ...
        target: name of the part.
    """

    kind: str
    target: str


class Package:
    """The parts of a zip file, by name; each problem with an optional part is noted.

    Args:
        data: the file's bytes.
        kind: what it should be, for messages: `a Word document`.
        max_part: most bytes of a part.
        max_total: most bytes of all parts that are read.

    Raises:
        DocumentError: it is not a readable zip file, or has too many members.
    """

    def __init__(
        self, data: bytes, kind: str, *, max_part: int = MAX_PART, max_total: int = MAX_TOTAL
    ) -> None:
        self.problems: list[str] = []
        self._kind = kind
        self._left = max_total
        self._max_total, self._max_part = max_total, max_part
        if data.startswith(OLE):
            raise DocumentError(f"{_compound(data)}; {kind} was expected")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            infos = self._zip.infolist()
        except Exception as error:  # zipfile raises a dozen kinds for bytes that are not a zip
            raise DocumentError(f"cannot be read as {kind}: {_why(error)}") from None
        if len(infos) > MAX_MEMBERS:
            raise DocumentError(
                f"has {len(infos):,} members; {kind} of at most {MAX_MEMBERS:,} was expected"
            )
        self._infos: dict[str, zipfile.ZipInfo] = {}
        self._folded: dict[str, str] = {}
        for info in infos:
            name = info.filename.replace("\\", "/").lstrip("/")
            self._infos.setdefault(name, info)
            self._folded.setdefault(name.lower(), name)

    def __iter__(self) -> Iterator[str]:
        """Names of all parts."""
        return iter(self._infos)

    def __contains__(self, name: str) -> bool:
        """Whether there is a part of this name, in whatever case."""
        return name in self._infos or name.lower() in self._folded

    def read(self, name: str) -> bytes:
        """The bytes of a part.

        Raises:
            DocumentError: it is missing, encrypted, damaged or too large.
        """
        return b"".join(self.chunks(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a part, piece by piece; raises as `read` does."""
        info = self._infos.get(name) or self._infos.get(self._folded.get(name.lower(), ""))
        shown = one_line(name)
        if info is None:
            raise DocumentError(f"holds no {shown}; {self._kind} was expected")
        if info.flag_bits & 1:
            raise DocumentError("is encrypted with a password; save it without one to have it read")
        size = 0
        try:
            with self._zip.open(info) as file:
                while chunk := file.read(_CHUNK):
                    size += len(chunk)
                    self._left -= len(chunk)
                    self._check(shown, size, info)
                    yield chunk
        except DocumentError:
            raise
        except Exception as error:  # a damaged stream raises whatever its decompressor does
            raise DocumentError(f"is damaged: {shown} cannot be unpacked, {_why(error)}") from None

    def _check(self, shown: str, size: int, info: zipfile.ZipInfo) -> None:
        if size > self._max_part:
            limit = f"{self._max_part >> 20} MiB"
        elif self._left < 0:
            limit, shown = f"{self._max_total >> 20} MiB", "the whole"
        elif size > _RATIO_FROM and size > MAX_RATIO * info.compress_size:
            limit = f"{MAX_RATIO} times its packed size"
        else:
            return
        raise DocumentError(f"is refused: {shown} unpacks to more than {limit}")

    def xml(self, name: str) -> Element:
        """The tree of a part; raises DocumentError as `read` and `parse_xml` do."""
        return parse_xml(self.read(name), name)

    def optional(self, name: str) -> Element | None:
        """The tree of a part that may be missing; if it is broken, that is noted."""
        if not name or name not in self:
            return None
        try:
            return self.xml(name)
        except DocumentError as error:
            if self._left < 0:
                raise
            self.problems.append(f"read without {one_line(name)}, which {error}")
            return None

    def without_text(self) -> DocumentError:
        """What to say where no text was found: what part is broken, if one is."""
        if self.problems:
            return DocumentError(f"holds no text that can be read: {self.problems[0]}")
        return DocumentError("holds no text; pictures are not read")

    def relations(self, part: str) -> dict[str, Relation]:
        """What a part refers to within an OOXML file, by id; "" for the file itself."""
        folder, name = posixpath.split(part)
        tree = self.optional(posixpath.join(folder, "_rels", f"{name}.rels"))
        found: dict[str, Relation] = {}
        for child in () if tree is None else tree:
            kind, target = child.get("Type", ""), unquote(child.get("Target", ""))
            if target and child.get("TargetMode") != "External":
                found[child.get("Id", "")] = Relation(
                    kind.rpartition("/")[2], resolved(folder, target)
                )
        return found

    @cached_property
    def main_part(self) -> str:
        """The part that an OOXML file is about; raises DocumentError."""
        for relation in self.relations("").values():
            if relation.kind == "officeDocument":
                return relation.target
        usual = next((name for name in _USUAL_MAIN if name in self), None)
        if usual is None:
            raise DocumentError(f"names no main part in _rels/.rels; {self._kind} was expected")
        return usual


def resolved(folder: str, target: str) -> str:
    """The name of the part that a reference from a part in `folder` leads to."""
    path = posixpath.normpath(posixpath.join("/", folder, target.replace("\\", "/")))
    return path.lstrip("/")


def sniffed(head: bytes, folder: bytes) -> bool:
    """Whether a file begins as OOXML with parts in a folder does."""
    return head.startswith(b"PK\3\4") and b"[Content_Types].xml" in head and folder in head


def repacked(package: Package, changed: Mapping[str, bytes], suffixes: tuple[str, ...]) -> bytes:
    """A zip file of the package's parts with these endings, some of them with other content.

    Args:
        package: the parts, read within its limits.
        changed: the other content, by name.
        suffixes: endings of the names to keep, in lower case.
    """
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as new:
        for name in package:
            if name in changed:
                new.writestr(name, changed[name])
            elif name.lower().endswith(suffixes):
                with new.open(name, "w", force_zip64=True) as part:
                    for chunk in package.chunks(name):
                        part.write(chunk)
    return made.getvalue()


def encrypted_compound(data: bytes) -> bool:
    """Whether a compound file is an OOXML file that is encrypted."""
    return _ENCRYPTED_STREAM in data


def _compound(data: bytes) -> str:
    if encrypted_compound(data):
        return "is encrypted with a password; save it without one to have it read"
    return "is a file of an office program before 2007; save it in today's format"


def _why(error: Exception) -> str:
    return one_line(" ".join(str(error).split())[:200]) or type(error).__name__
