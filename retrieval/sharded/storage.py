"""Object storage: a shared folder, S3, GCS or Azure, through obstore.

What is stored never changes: an object is made once, under a name that nobody else gives another
content. The one exception is a pointer, which is only ever moved forward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from retrieval.errors import MissingDependency, StorageError

EXTRA = "shards"
_SCHEME = "://"
_DELETED_AT_ONCE = 1000
_FOLDER = "file://"
_ADVICE = "check its address, its keys and whether it can be reached"
_ADVICE_FOLDER = "check that the folder can be written to, and that its disk has space"
_CLOCK = "clock"
_PART = 1 << 23
"""Bytes of an object that are brought at a time, at least."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: its name, its bytes, and when it was written, by the storage's clock."""

    name: str
    size: int
    written: datetime


def is_url(place: str) -> bool:
    """Whether this names a place in object storage, and no folder of this machine."""
    return _SCHEME in place


class ObjectStorage:
    """The objects below one URL.

    Every method raises StorageError if the storage fails, in one line that names the object.

    Attributes:
        url: as it was given, without a slash at its end.
    """

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        """Name a place; nothing is read yet.

        Args:
            url: `file:///folder`, `s3://bucket/name`, `gs://...` or `az://...`.
            options: what obstore takes for this kind of storage, such as `endpoint`; keys and
                regions come from the environment otherwise.

        Raises:
            MissingDependency: obstore is not installed.
            StorageError: the URL is of no known kind, or an option is unknown.
        """
        try:
            import obstore
            from obstore.store import from_url
        except ImportError as error:
            raise MissingDependency(
                f"object storage needs obstore: pip install 'modernbert-retrieval[{EXTRA}]'"
            ) from error
        self.url = url.rstrip("/")
        if not is_url(url):
            raise StorageError(
                f"{url!r} is no URL; give file:///folder, s3://bucket/name, gs:// or az://"
            )
        given: dict[str, Any] = dict(options or {})
        if self.url.startswith(_FOLDER):
            given["mkdir"] = True
        elif given.get("endpoint", "").startswith("http://"):
            given["client_options"] = {"allow_http": True}
        self._obstore: Any = obstore
        with self._told(""):
            self._store: Any = from_url(self.url, **given)

    def read(self, name: str) -> bytes | None:
        """The content of an object, or None if there is none."""
        with self._told(name):
            try:
                return bytes(self._obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                return None

    def read_range(self, name: str, start: int, size: int) -> bytes | None:
        """Bytes of an object, or None if there is none."""
        if not size:
            return b""
        with self._told(name):
            try:
                found = self._obstore.get_range(self._store, name, start=start, length=size)
                return bytes(found)
            except FileNotFoundError:
                return None

    def create(self, name: str, content: bytes) -> bool:
        """Make an object that is not there yet; False, and nothing else, if it is."""
        with self._told(name):
            try:
                self._obstore.put(self._store, name, content, mode="create")
            except self._obstore.exceptions.AlreadyExistsError:
                return False
            return True

    def put(self, name: str, content: bytes) -> None:
        """Make an object, whether there is one or not."""
        with self._told(name):
            self._obstore.put(self._store, name, content)

    def now(self) -> datetime:
        """The time by the storage's clock, which alone dates what is stored."""
        with self._told(_CLOCK):
            self._obstore.put(self._store, _CLOCK, b"")
            written: datetime = self._obstore.head(self._store, _CLOCK)["last_modified"]
            return written

    def advance(self, name: str, choose: Callable[[bytes | None], bytes | None]) -> None:
        """Replace a pointer by compare-and-swap.

        A folder has none: there the pointer is replaced as it is, and may for a moment stand at
        what another process had put before.

        Args:
            name: of the object.
            choose: of what it holds, or None, what it is to hold; None leaves it.
        """
        with self._told(name):
            while True:
                mode: Any = "create"
                before: bytes | None = None
                try:
                    found = self._obstore.get(self._store, name)
                    before, tag = bytes(found.bytes()), found.meta["e_tag"]
                    mode = {"e_tag": tag}
                except FileNotFoundError:
                    pass
                after = choose(before)
                if after is None:
                    return
                try:
                    self._obstore.put(self._store, name, after, mode=mode)
                    return
                except NotImplementedError:
                    self._obstore.put(self._store, name, after)
                    return
                except (
                    self._obstore.exceptions.AlreadyExistsError,
                    self._obstore.exceptions.PreconditionError,
                ):
                    continue  # another process was faster: look again

    def objects(self, prefix: str) -> Iterator[Stored]:
        """The objects whose names begin with a folder's name."""
        with self._told(prefix):
            for several in self._obstore.list(self._store, prefix):
                for one in several:
                    yield Stored(one["path"], one["size"], one["last_modified"])

    def find(self, name: str) -> Stored | None:
        """What is told of an object, or None if there is none."""
        with self._told(name):
            try:
                one = self._obstore.head(self._store, name)
            except FileNotFoundError:
                return None
            return Stored(one["path"], one["size"], one["last_modified"])

    def download(self, name: str, target: Path) -> bool:
        """Write an object to a file, a part at a time; False if there is none."""
        with self._told(name):
            try:
                found = self._obstore.get(self._store, name)
            except FileNotFoundError:
                return False
            with target.open("wb") as file:
                for part in found.stream(min_chunk_size=_PART):
                    file.write(part)
            return True

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects; one that is not there does not matter."""
        for first in range(0, len(names), _DELETED_AT_ONCE):
            several = list(names[first : first + _DELETED_AT_ONCE])
            with self._told(several[0]):
                try:
                    self._obstore.delete(self._store, several)
                except FileNotFoundError:  # a folder stops at the first that is not there
                    for name in several:
                        with suppress(FileNotFoundError):
                            self._obstore.delete(self._store, name)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Turn the storage's errors into one line."""
        try:
            yield
        except StorageError:
            raise
        except (self._obstore.exceptions.BaseError, OSError, ValueError) as error:
            place = f"{self.url}/{name}" if name else self.url
            line = str(error).split("\n\nDebug source", 1)[0]
            raise StorageError(
                f"the storage at {place} fails ({' '.join(line.split())[:300]}); "
                f"{_ADVICE_FOLDER if self.url.startswith(_FOLDER) else _ADVICE}"
            ) from error
