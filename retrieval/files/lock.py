"""One writer at a time: a lock that the operating system releases when its process dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import stat
import time
from pathlib import Path
from types import TracebackType

from retrieval.errors import IndexLocked, StorageError

_LOG = logging.getLogger(__name__)
_PAUSE = 0.02  # seconds between attempts
_DIGITS = 10  # of a process id; Linux goes up to 2 ** 22


class WriterLock:
    """Holds `flock` on a file for as long as the `with` block runs.

    `flock` because nothing has to be cleaned up after a kill: the kernel drops it with the last
    descriptor, so no stale lock can keep the next writer out. The file stays; only the lock goes.
    A process that was forked while it was held has a descriptor, too: so it is released at the end
    by the process that took it, and by no other.
    """

    def __init__(self, path: Path, timeout: float = 0.0) -> None:
        """Set the lock file; the lock is taken on entering.

        Args:
            path: the lock file; created if it does not exist.
            timeout: seconds to wait for another writer.
        """
        self.path = path
        self.timeout = timeout
        self._descriptor: int | None = None
        self._process = 0  # that holds it

    def __enter__(self) -> WriterLock:
        """Take the lock, or raise IndexLocked, naming the process that has it."""
        try:
            descriptor = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666
            )
        except OSError as error:
            if error.errno == errno.ELOOP:  # the file it links to would be overwritten
                raise StorageError(f"{self.path} is a link; delete it") from error
            raise StorageError(
                f"{self.path} cannot be opened for writing ({error.strerror}); "
                "make its folder writable"
            ) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise StorageError(f"{self.path} is not a regular file; delete it")
        try:
            self._take(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        with contextlib.suppress(OSError):  # the process id only informs: a full disk may refuse it
            # Overwritten without truncating, which some file systems would force to the disk.
            os.pwrite(descriptor, f"{os.getpid():<{_DIGITS}}\n".encode("ascii"), 0)
        self._descriptor, self._process = descriptor, os.getpid()
        return self

    @property
    def is_there(self) -> bool:
        """Whether the file that is locked is the one at the path: it may have been deleted."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.lstat())
        except FileNotFoundError:
            return False

    def _take(self, descriptor: int) -> None:
        until = time.monotonic() + self.timeout
        told = False
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                left = until - time.monotonic()
                if left <= 0:
                    waited = f" and still did after {self.timeout:g} seconds" if told else ""
                    raise IndexLocked(
                        f"another writer (process {holder}) holds {self.path}{waited}; "
                        "wait until it is done, or stop it"
                    ) from error
            except OSError as error:
                raise StorageError(
                    f"{self.path} cannot be locked ({error.strerror}); "
                    "use a file system that has file locks"
                ) from error
            if not told:
                told = True
                _LOG.info(
                    "waiting up to %g seconds for process %s, which holds %s",
                    self.timeout,
                    holder,
                    self.path,
                )
            time.sleep(min(_PAUSE, left))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            try:
                if self._process == os.getpid():
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
            finally:
                os.close(descriptor)
