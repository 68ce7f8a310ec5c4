"""One instance of an encoder a process: handles of one model share its memory and its threads."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.types import Encoder

if TYPE_CHECKING:
    from retrieval.encoders.runtimes.base import Runtime

KEPT = 2
"""So many encoders that run without torch are kept when nobody has them: they are small."""

_Key = tuple[str, str | None, tuple[tuple[str, int, int], ...]]


@dataclass(frozen=True, slots=True)
class Origin:
    """What an encoder was loaded from, as `load_encoder` takes it.

    Attributes:
        source: an absolute folder, a Hub id, or None for the embedded model.
        device: as it was asked for.
    """

    source: str | None
    device: str | None


class _Shared:
    """The encoders that are in use, by their files and by their fingerprints."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.by_files: weakref.WeakValueDictionary[_Key, Runtime] = weakref.WeakValueDictionary()
        self.by_fingerprint: weakref.WeakValueDictionary[
            tuple[type[Runtime], str | None, str, tuple[int, ...]], Runtime
        ] = weakref.WeakValueDictionary()
        self.origins: weakref.WeakKeyDictionary[Encoder, Origin] = weakref.WeakKeyDictionary()
        self.kept: deque[Runtime] = deque(maxlen=KEPT)


_shared = _Shared()


def _forget() -> None:
    """Start over in a process that was forked, but for where its encoders came from."""
    global _shared
    origins = _shared.origins
    _shared = _Shared()
    _shared.origins = origins


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def shared(
    folder: Path, origin: Origin, load: Callable[[], Runtime], *, keep: Callable[[Runtime], bool]
) -> Runtime:
    """The encoder of a folder: the one that is there, as long as the files are as they were.

    Args:
        folder: its files.
        origin: what it is loaded from.
        load: loads it.
        keep: whether it stays in memory for a while when nobody has it.
    """
    here = _shared
    with here.lock:
        key = (os.path.realpath(folder), origin.device, _files(folder))
        found = here.by_files.get(key)
        if found is None:
            found = load()
            # Copies of a model's files are the same encoder.
            same = (type(found), origin.device, found.fingerprint, found.left_out)
            found = here.by_fingerprint.setdefault(same, found)
            here.by_files[key] = found
        known = here.origins.get(found)
        if known is None or known.source is not None:
            here.origins[found] = origin  # the last of several folders: the others may be gone
        if keep(found) and found not in here.kept:
            here.kept.append(found)
        return found


def source_of(encoder: Encoder) -> Origin | None:
    """What the encoder was loaded from; None if `load_encoder` did not load it."""
    try:
        return _shared.origins.get(encoder)
    except TypeError:  # nothing that a weak reference can lead to
        return None


def _files(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of a folder's files and of those in its folders: what tells change."""
    found = []
    for path in (*folder.glob("*"), *folder.glob("*/*")):
        if path.is_file():
            known = path.stat()
            found.append((str(path.relative_to(folder)), known.st_size, known.st_mtime_ns))
    return tuple(sorted(found))
