"""Worker processes: started on first use, asked by as many threads as there are, replaced.

A worker serves one file after the other. One that a file ended is replaced, and the file costs
itself alone: it is a DocumentError that says what happened. A file that ended a worker that had
read others before is given to a new one once, since one of those may have left it damaged.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from retrieval.documents.formats.format import Parse, Parsed, Source, place_of_function
from retrieval.documents.workers import limits, wire
from retrieval.errors import DocumentError, InputError, MissingDependency
from retrieval.threads import usable

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from retrieval.documents.workers.worker import main; main()"
)
_MOST = 4
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_RAISED: dict[str, Callable[[str], Exception]] = {
    "document": DocumentError,
    "dependency": MissingDependency,
    "input": InputError,
}
_OUT_OF_MEMORY = {
    getattr(signal, name, None) for name in ("SIGABRT", "SIGTRAP", "SIGILL", "SIGKILL")
}
"""Signals by which libraries and systems end a process that asks for too much memory."""


class ParserEndedError(DocumentError):
    """Parsing a file took too much time or memory, or ended the process that did it."""


class _EndedError(Exception):
    """A worker is there no more; its text says why, after the name of a file.

    Attributes:
        again: whether a new worker may do better.
    """

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


class _Worker:
    """A process, and its two pipes."""

    def __init__(self) -> None:
        self.fresh = True
        self._timed_out = False
        paths = json.dumps([path for path in sys.path if isinstance(path, str)])
        # A group of its own: Ctrl-C is for the process that asks.
        own_group: dict[str, Any] = {} if os.name == "nt" else {"process_group": 0}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _START, paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **dict.fromkeys(_THREADS, "1")},
            **own_group,
        )

    def ask(self, request: bytes, data: bytes, seconds: int) -> list[Any]:
        """Have a function asked of a file, which may take so many seconds of the processor.

        Raises:
            _EndedError: the worker is there no more.
            RetrievalError: what the parser raised.
        """
        timer = threading.Timer(limits.PATIENCE * seconds, self._time_out)
        timer.daemon = True
        timer.start()
        try:
            return self._ask(request, data)
        except (OSError, wire.WireError) as error:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=0 if isinstance(error, wire.WireError) else 5)
            self.close()
            malformed = isinstance(error, wire.WireError)
            raise self._ended(data, seconds, malformed=malformed) from None
        except _EndedError:
            self.close()
            raise
        except (DocumentError, InputError, MissingDependency):
            raise
        except BaseException:  # interrupted: nobody is there to hear the answer
            self.close()
            raise
        finally:
            timer.cancel()

    def _ask(self, request: bytes, data: bytes) -> list[Any]:
        assert self._process.stdin and self._process.stdout
        wire.write(self._process.stdin, request)
        wire.write(self._process.stdin, data)
        self._process.stdin.flush()
        found: list[Any] = []
        error: Exception | None = None
        left = limits.ANSWER
        while True:
            reply = wire.read(self._process.stdout, left)
            if reply is None:
                raise OSError
            left -= len(reply)
            kind, *rest = wire.loaded(reply)
            match kind, rest:
                case "parsed", [value]:
                    found.append(wire.parsed_of(value))
                case "value", [value]:
                    found.append(value)
                case "end", [bool(last)]:
                    self.fresh = False
                    if last:
                        self.close()
                    if error:
                        raise error
                    return found
                case "memory", []:
                    error = _EndedError(_too_much_memory(data), again=True)
                case (("failed" | "ended"), [str(text)]):
                    error = DocumentError(f"its parser failed ({text}); please report this file")
                case (("document" | "dependency" | "input"), [str(text)]):
                    error = _RAISED[kind](text)
                case _:
                    raise wire.WireError

    @property
    def is_alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    @property
    def is_closed(self) -> bool:
        """Whether it can be asked no more."""
        return self._process.stdin is None or self._process.stdin.closed

    def close(self) -> None:
        """End the process, at once."""
        self._process.kill()
        self.leave()
        self._process.wait()

    def leave(self) -> None:
        """Close this end of the pipes; the process ends itself."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()

    def _time_out(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _ended(self, data: bytes, seconds: int, *, malformed: bool) -> _EndedError:
        """Why the process is there no more."""
        code = self._process.returncode
        if self._timed_out or -code == getattr(signal, "SIGXCPU", None):
            return _EndedError(f"its parser ran longer than {seconds} s", again=False)
        if malformed:
            return _EndedError(
                f"its parser gave more than {limits.ANSWER >> 20} MB of text, or none that can be "
                "used",
                again=False,
            )
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"exit status {code}"
        most = _memory(data)
        hint = f"; it may have wanted more than {most}" if -code in _OUT_OF_MEMORY else ""
        return _EndedError(f"its parser crashed ({name}){hint}", again=True)


def _too_much_memory(data: bytes) -> str:
    return f"its parser wanted more than {_memory(data)}"


def _memory(data: bytes) -> str:
    return f"{(limits.MEMORY + 2 * len(data)) >> 20:,} MB of memory"


class _Pool:
    """The workers of this process."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._making = threading.Lock()
        self._free: threading.BoundedSemaphore | None = None
        self._known = False

    def parse(self, parse: Parse, data: bytes, source: Source) -> list[Parsed]:
        seconds = limits.seconds_for(len(data))
        return self._ask(parse, data, {"source": asdict(source)}, seconds)

    def value(self, function: Callable[..., Any], data: bytes, given: Any, seconds: int) -> Any:
        (value,) = self._ask(function, data, {"given": given}, seconds)
        return value

    def _ask(
        self, function: Callable[..., Any], data: bytes, told: dict[str, Any], seconds: int
    ) -> list[Any]:
        place = place_of_function(function)
        if place is None:
            raise InputError(
                f"{function!r} cannot run in a worker process; define it at a module's top level"
            )
        request = wire.dumped(
            {"function": place, "size": len(data), "seconds": seconds, **told},
        )
        with self._turn():
            while True:
                worker = self._take()
                was_fresh = worker.fresh
                try:
                    return worker.ask(request, data, seconds)
                except _EndedError as error:
                    if was_fresh or not error.again:
                        raise ParserEndedError(str(error)) from None
                finally:
                    if not worker.is_closed:
                        self._idle.append(worker)

    def _turn(self) -> threading.BoundedSemaphore:
        """Held while a worker is asked; there are as many as this process may use at first."""
        with self._making:
            if self._free is None:
                self._free = threading.BoundedSemaphore(min(_MOST, usable()))
            return self._free

    def _take(self) -> _Worker:
        if not self._known:
            self._known = True
            atexit.register(self.stop)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._forget)
        while True:
            try:
                worker = self._idle.pop()
            except IndexError:
                break
            if worker.is_alive:
                return worker
            worker.close()
        try:
            return _Worker()
        except OSError as error:
            raise DocumentError(
                f"no process could be started for its parser ({error.strerror or error})"
            ) from None

    def stop(self) -> None:
        """End all workers that are not at work; the next file starts one."""
        while self._idle:
            self._idle.pop().close()

    def _forget(self) -> None:
        """In a copy of this process: the workers are the original's."""
        for worker in self._idle:
            worker.leave()
        self._idle = []
        self._making = threading.Lock()
        self._free = None


_pool = _Pool()


def parse(parse: Parse, data: bytes, source: Source) -> list[Parsed]:
    """A function's result for bytes, computed in a worker process.

    Args:
        parse: as `Format.parse`; defined at a module's top level.
        data: the bytes.
        source: what the function is told about them.

    Raises:
        DocumentError: the bytes give nothing; the text follows the file's name. As a
            ParserEndedError: parsing them took too much time or memory, or ended the worker.
        InputError: the function raised it, or is defined where a worker cannot find it.
        MissingDependency: the function raised it.
    """
    return _pool.parse(parse, data, source)


def value(function: Callable[..., Any], data: bytes, *given: Any, seconds: int) -> Any:
    """What a function gives of bytes, in a worker process: a value of JSON, which is not checked.

    Args:
        function: called with the bytes and what is given; it stands at a module's top level.
        data: the bytes.
        given: values of JSON.
        seconds: how much of a processor's time it may take.

    Raises:
        RetrievalError: as `parse`.
    """
    return _pool.value(function, data, list(given), seconds)


def stop() -> None:
    """End the workers that are idle; the next file starts one."""
    _pool.stop()
