"""What a process gives up before it parses foreign bytes, and how much each file may take.

Everywhere, Python itself refuses sockets, programs and files to write (an audit hook, which native
code passes by). POSIX systems bound memory, a processor's time and the size of files; Linux has
the kernel refuse the calls, see `seccomp`.
"""

from __future__ import annotations

import math
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from retrieval.documents.workers import limits, seccomp

_REFUSED = frozenset(
    [
        "os.chmod",
        "os.chown",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "os.link",
        "os.mkdir",
        "os.posix_spawn",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.spawn",
        "os.startfile",
        "os.symlink",
        "os.system",
        "os.truncate",
        "pty.spawn",
        "subprocess.Popen",
        "tempfile.mkdtemp",
        "tempfile.mkstemp",
    ]
)
_MOST_HELD = re.compile(r"^VmHWM:\s*(\d+) kB", re.M)
_WRITES = frozenset("wax+")


_confined = False


def is_worker() -> bool:
    """Whether this process is a worker, which needs none of its own."""
    return _confined


def confine() -> None:
    """Give up for good: to interrupt, to dump memory, to write files, to open sockets, to start."""
    global _confined
    _confined = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks decides when to stop
    sys.dont_write_bytecode = True
    sys.addaudithook(_refuse)
    with suppress(ImportError):
        import resource

        for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
            resource.setrlimit(limit, (0, 0))
    seccomp.install()


def allow(size: int, seconds: float) -> None:
    """Allow as much memory as a file of so many bytes may take, and so much time, from now on."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        last = math.ceil(time.process_time() + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (last, hard))
        mapped = _mapped_bytes()
        if mapped is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            most = mapped + limits.MEMORY + 2 * size
            if hard != resource.RLIM_INFINITY:
                most = min(most, hard)
            resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def most_held() -> int:
    """The most bytes of memory that this process has held; 0 where the system does not say."""
    try:
        # What getrusage says includes the process that started this one.
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    found = _MOST_HELD.search(status)
    return int(found[1]) * 1024 if found else 0


def _mapped_bytes() -> int | None:
    """Bytes of this process's address space; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        import resource
    except (OSError, ValueError, ImportError):
        return None
    return pages * resource.getpagesize()


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        _, mode, flags = arguments
        writes = bool(_WRITES & set(mode)) if isinstance(mode, str) else bool(flags & 3)
    else:
        writes = event in _REFUSED or event.startswith("socket.")
    if writes:
        raise PermissionError(f"{event}: refused to a parser of foreign bytes")
