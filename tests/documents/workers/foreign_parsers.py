"""Parsers that do what a library may do that reads foreign bytes; a worker imports them."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from retrieval.documents.formats import Parsed, Source
from retrieval.errors import DocumentError, InputError, MissingDependency


def plain(data: bytes, source: Source) -> Parsed:
    """The bytes, and which process read them."""
    return Parsed(data.decode(), source.id, {"process": os.getpid()})


def several(data: bytes, source: Source) -> Iterator[Parsed]:
    for number in range(3):
        yield Parsed(f"{number}", id=f"{source.id}#{number}")


def crashes(data: bytes, source: Source) -> Parsed:
    ctypes.string_at(0)
    raise AssertionError


def aborts(data: bytes, source: Source) -> Parsed:
    os.abort()


def exits(data: bytes, source: Source) -> Parsed:
    os._exit(3)


def panics(data: bytes, source: Source) -> Parsed:
    raise SystemExit("as a library in Rust does")


def hangs(data: bytes, source: Source) -> Parsed:
    while True:
        pass


def sleeps(data: bytes, source: Source) -> Parsed:
    threading.Event().wait()
    raise AssertionError


def wants_memory(data: bytes, source: Source) -> Parsed:
    return Parsed(str(len(bytearray(1 << 33))))


def gives_too_much(data: bytes, source: Source) -> Iterator[Parsed]:
    while True:
        yield Parsed("x" * (1 << 22))


def goes_too_deep(data: bytes, source: Source) -> Parsed:
    return goes_too_deep(data, source)


def has_a_fault(data: bytes, source: Source) -> Parsed:
    raise KeyError("body")


def refuses(data: bytes, source: Source) -> Parsed:
    raise DocumentError("is none")


def knows_no_encoding(data: bytes, source: Source) -> Parsed:
    raise InputError("what encoding?")


def lacks(data: bytes, source: Source) -> Parsed:
    raise MissingDependency("needs a reader; pip install it")


def gives_an_object(data: bytes, source: Source) -> Parsed:
    return Parsed("", metadata={"made": object()})


def prints(data: bytes, source: Source) -> Parsed:
    os.write(1, b"\0" * 100)
    sys.stdout.write("printed")
    return Parsed("said")


def dies_if_used_before(data: bytes, source: Source) -> Parsed:
    """As after a file that damaged the worker's memory."""
    global _used
    if _used:
        os.abort()
    _used = True
    return Parsed("fine")


_used = False


def tries(data: bytes, source: Source) -> Parsed:
    """What Python lets it do, of what the data names."""
    what, _, path = data.decode().partition(" ")
    try:
        match what:
            case "socket":
                socket.socket()
            case "program":
                subprocess.run([path], check=False)
            case "write":
                Path(path).write_text("written")
            case "remove":
                Path(path).unlink()
            case "fork":
                os.fork()
    except PermissionError:
        return Parsed("refused")
    return Parsed("allowed")


def tries_without_python(data: bytes, source: Source) -> Parsed:
    """What the kernel lets it do, of what the data names."""
    what, _, path = data.partition(b" ")
    libc = ctypes.CDLL(None, use_errno=True)
    match what:
        case b"socket":
            result = libc.socket(2, 1, 0)
        case b"fork":
            result = libc.fork()
            if result == 0:
                os._exit(0)
        case b"program":
            result = libc.execv(path, (ctypes.c_char_p * 2)(path, None))
        case b"write":
            result = libc.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        case b"remove":
            result = libc.unlink(path)
        case b"kill":
            result = libc.kill(os.getppid(), 0)
        case _:
            raise AssertionError(what)
    return Parsed("allowed" if result >= 0 else errno.errorcode[ctypes.get_errno()])


def starts_a_thread(data: bytes, source: Source) -> Parsed:
    said: list[str] = []
    thread = threading.Thread(target=said.append, args=("from a thread",))
    thread.start()
    thread.join()
    return Parsed(said[0])
