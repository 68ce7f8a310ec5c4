"""Object storage: a shared folder, S3, GCS or Azure, through obstore.

Stored objects never change: an object is created once, under a name that always has the same
    content. The one exception is a pointer, which only ever moves forward.
"""

from __future__ import annotations

import os
import random
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from retrieval.errors import MissingDependency, StorageError
from retrieval.files.places import is_url

if TYPE_CHECKING:
    from obstore import ListStream, ObjectMeta, PutMode
    from obstore.store import ObjectStore

Result = TypeVar("Result")

EXTRA = "shards"
_DELETED_AT_ONCE = 1000
_FOLDER = "file://"
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_KINDS = "file:///folder, s3://bucket/name, gs:// or az://"

_IGNORED = re.compile("[?#]")
"""What would end the place in a URL: the rest would be left out, and another place written to."""

_ADVICE = "check its address, its keys and whether it can be reached"
_ADVICE_FOLDER = "check that the folder can be written to, and that its disk has space"
_ADVICE_BY_CODE = {
    "ExpiredToken": "its keys have expired: renew them, and run it again",
    "RequestTimeTooSkewed": "this machine's clock and the storage's differ: correct it",
}
"""Advice by a server's error code."""

_WAITS = (0.1, 0.3, 1.0, 3.0)
"""Seconds between retries, with jitter down to about half."""

_IS_FINAL = re.compile("max_retries|status code: 4")
"""Errors that are not retried: the library did so already, or the call is refused."""

_ANSWERED = re.compile(r"returned non-2xx status code: (\d.*)", re.DOTALL)
_TAG = re.compile("<[^>]*>")
_LISTED_AT_ONCE = 1000
_CLOCK = "clock"
_PART = 1 << 23
"""Minimum bytes of an object downloaded at a time."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: its name, its size, and when it was written, by the storage's clock."""

    name: str
    size: int
    written: datetime


def _endpoint(url: str, options: Mapping[str, Any]) -> str:
    """The server named in the options, or in the environment for S3."""
    named = [options.get("endpoint")]
    if url.startswith("s3"):
        named += [os.environ.get(name) for name in _ENDPOINTS]
    return next((str(one).lower() for one in named if one), "")


class ObjectStorage:
    """The objects below one URL.

    Every method raises StorageError if the storage fails, in one line that names the object.

    Attributes:
        url: as given, without a trailing slash.
    """

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        """Set the place; nothing is read yet.

        Args:
            url: `file:///folder`, `s3://bucket/name`, `gs://...` or `az://...`.
            options: obstore's options for this kind of storage, such as `endpoint`; otherwise keys
                and regions come from the environment.

        Raises:
            MissingDependency: obstore is not installed.
            StorageError: the URL is of an unknown kind, or an option is unknown.
        """
        try:
            import obstore
        except ImportError as error:
            raise MissingDependency(
                f"object storage needs obstore: pip install 'modernbert-retrieval[{EXTRA}]'"
            ) from error
        self.url = url.rstrip("/")
        if not is_url(url):
            raise StorageError(f"{url!r} is not a URL; give {_KINDS}")
        if self.url.startswith(_FOLDER) and not self.url.startswith(f"{_FOLDER}/"):
            path = url.removeprefix(_FOLDER)
            raise StorageError(f"{url!r} is not an absolute path; give file:///FOLDER/{path}")
        odd = _IGNORED.search(url)
        if odd:
            raise StorageError(
                f"{url!r} contains {odd[0]!r}, where the place in a URL ends; if it is part of a "
                f"name, write %{ord(odd[0]):02X}"
            )
        given: dict[str, Any] = dict(options or {})
        if self.url.startswith(_FOLDER):
            given["mkdir"] = True
        elif _endpoint(self.url, given).startswith("http://"):
            # An http server is named on purpose; without this the only message is "builder error".
            given["client_options"] = {"allow_http": True}
        self._obstore = obstore
        try:
            kind = obstore.parse_scheme(self.url)
        except obstore.exceptions.BaseError:
            kind = None
        if kind in (None, "http"):  # some buckets have addresses of `https`, which it knows
            raise StorageError(f"{url} is not an address of object storage; give {_KINDS}")
        self._options = given
        if not self.url.startswith(_FOLDER):  # a folder is made, if missing, once it is needed
            _ = self._store

    @cached_property
    def _store(self) -> ObjectStore:
        from obstore.store import from_url

        with self._told(""):
            return from_url(self.url, **self._options)

    def is_there(self) -> bool:
        """False if it is a folder of this machine that does not exist; nothing is made."""
        if not self.url.startswith(_FOLDER):
            return True
        try:
            return stat.S_ISDIR(Path(unquote(self.url.removeprefix(_FOLDER))).stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # reading it says why it cannot be read

    def read(self, name: str) -> bytes | None:
        """The content of an object, or None if there is none."""
        with self._told(name):
            try:
                return self._asked(lambda: bytes(self._obstore.get(self._store, name).bytes()))
            except FileNotFoundError:
                return None

    def read_range(self, name: str, start: int, size: int) -> bytes | None:
        """Bytes of an object, or None if there is none."""
        if not size:
            return b""
        with self._told(name):
            wanted = partial(self._obstore.get_range, self._store, name, start=start, length=size)
            try:
                return self._asked(lambda: bytes(wanted()))
            except FileNotFoundError:
                return None

    def create(self, name: str, content: bytes) -> bool:
        """Create an object; False, without any change, if it exists already.

        It may exist because the request was retried after a lost response: a caller that has to
        know reads it.
        """
        with self._told(name):
            try:
                self._asked(lambda: self._obstore.put(self._store, name, content, mode="create"))
            except self._obstore.exceptions.AlreadyExistsError:
                return False
            return True

    def put(self, name: str, content: bytes) -> None:
        """Write an object, whether or not it exists."""
        with self._told(name):
            self._asked(lambda: self._obstore.put(self._store, name, content))

    def now(self) -> datetime:
        """The time by the storage's clock, which dates all objects."""
        with self._told(_CLOCK):
            self._asked(lambda: self._obstore.put(self._store, _CLOCK, b""))
            told = self._asked(partial(self._obstore.head, self._store, _CLOCK))
            return told["last_modified"]

    def advance(self, name: str, choose: Callable[[bytes | None], bytes | None]) -> None:
        """Replace a pointer by compare-and-swap.

        A folder does not support that: there the pointer is simply replaced, and may for a moment
        have the value that another process wrote before.

        Args:
            name: the object's name.
            choose: maps its content, or None, to the new content; None leaves it.
        """
        with self._told(name):
            while True:
                before, mode = self._asked(lambda: self._as_it_stands(name))
                after = choose(before)
                if after is None:
                    return
                try:
                    self._asked(partial(self._obstore.put, self._store, name, after, mode=mode))
                    return
                except NotImplementedError:
                    self._obstore.put(self._store, name, after)
                    return
                except (
                    self._obstore.exceptions.AlreadyExistsError,
                    self._obstore.exceptions.PreconditionError,
                ):
                    continue  # another process was faster: read again

    def objects(self, prefix: str) -> Iterator[Stored]:
        """The objects in a folder."""
        last: str | None = None
        pages: ListStream[Sequence[ObjectMeta]] | None = None

        def page() -> Sequence[ObjectMeta]:
            nonlocal pages
            try:
                if pages is None:
                    listed = self._obstore.list(
                        self._store, prefix, offset=last, chunk_size=_LISTED_AT_ONCE
                    )
                    pages = iter(listed)
                return next(pages, ())
            except self._obstore.exceptions.BaseError:
                pages = None  # a new listing continues after the last name
                raise

        with self._told(prefix):
            while several := self._asked(page):
                for one in several:
                    last = one["path"]
                    yield Stored(one["path"], one["size"], one["last_modified"])

    def find(self, name: str) -> Stored | None:
        """The size and time of an object, or None if there is none."""
        with self._told(name):
            try:
                one = self._asked(partial(self._obstore.head, self._store, name))
            except FileNotFoundError:
                return None
            return Stored(one["path"], one["size"], one["last_modified"])

    def download(self, name: str, target: Path) -> bool:
        """Write an object to a file, part by part; False if there is none."""

        def write() -> bool:
            try:
                found = self._obstore.get(self._store, name)
            except FileNotFoundError:
                return False
            with target.open("wb") as file:
                for part in found.stream(min_chunk_size=_PART):
                    file.write(part)
            return True

        with self._told(name):
            return self._asked(write)

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects; missing ones are ignored."""
        for first in range(0, len(names), _DELETED_AT_ONCE):
            several = list(names[first : first + _DELETED_AT_ONCE])
            with self._told(several[0]):
                try:
                    self._asked(partial(self._obstore.delete, self._store, several))
                except FileNotFoundError:  # a folder stops at the first missing one
                    for name in several:
                        with suppress(FileNotFoundError):
                            self._obstore.delete(self._store, name)

    def _as_it_stands(self, name: str) -> tuple[bytes | None, PutMode]:
        """The content of an object, or None, and the mode for replacing exactly that version."""
        try:
            found = self._obstore.get(self._store, name)
            return bytes(found.bytes()), {"e_tag": found.meta["e_tag"]}
        except FileNotFoundError:
            return None, "create"

    def _asked(self, call: Callable[[], Result]) -> Result:
        """The result of a call, which is retried if that may help.

        The library itself retries idempotent calls, but not when a response is cut off, nor when
        creating objects.
        """
        for wait in () if self.url.startswith(_FOLDER) else _WAITS:
            try:
                return call()
            except self._obstore.exceptions.GenericError as error:
                if _IS_FINAL.search(_said(error)):
                    raise
                time.sleep(wait * random.uniform(0.5, 1))
        return call()

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Turn the storage's errors into a one-line StorageError."""
        try:
            yield
        except StorageError:
            raise
        except (self._obstore.exceptions.BaseError, OSError, ValueError) as error:
            place = f"{self.url}/{name}" if name else self.url
            line, advice = _line(error), _ADVICE
            if self.url.startswith(_FOLDER):
                advice = _ADVICE_FOLDER
            for code, known in _ADVICE_BY_CODE.items():
                advice = known if code in line else advice
            raise StorageError(f"the storage at {place} fails ({line}); {advice}") from error


def _said(error: Exception) -> str:
    """The library's message, without details for its developers."""
    return str(error).split("\n\nDebug source", 1)[0]


def _line(error: Exception) -> str:
    """The message as one line; for a server's response, its own words."""
    said = _said(error)
    answered = _ANSWERED.search(said)
    if answered:
        said = _TAG.sub(" ", answered[1])
    return " ".join(said.split())[:300]
