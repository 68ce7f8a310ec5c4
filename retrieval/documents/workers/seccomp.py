"""A system call filter, for Linux on x86-64 and ARM64: the kernel refuses the calls listed here.

The filter is a classic Berkeley packet filter program, see seccomp(2) and
Documentation/userspace-api/seccomp_filter.rst. What is not listed is allowed: this does not
contain a program that was taken over in full, but leaves it no socket, no program to start, no file
to write and no other process to touch.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_X32 = 0x40000000
"""Numbers from here on are a second way into the same kernel."""
_THREAD = 0x00010000
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True, slots=True)
class _Machine:
    """The numbers of system calls on a kind of processor.

    Attributes:
        architecture: its AUDIT_ARCH number.
        refused: calls that fail.
        unknown: calls that fail as in an older kernel, so that the C library takes others.
        clone: starts a thread or a process; only threads may be.
        tgkill: a signal to a thread; only to one's own.
        opens: call to the argument that says whether the file is to be written.
    """

    architecture: int
    refused: tuple[int, ...]
    unknown: tuple[int, ...]
    clone: int
    tgkill: int
    opens: dict[int, int]


_MACHINES = {
    "x86_64": _Machine(
        0xC000003E,
        refused=(
            *(41, 42, 43, 44, 46, 49, 50, 53, 288, 307),  # socket and what it takes
            *(57, 58, 59, 322),  # fork, vfork, execve, execveat
            *(62, 200, 101, 310, 311),  # kill, tkill, ptrace, process_vm_readv, _writev
            *(76, 82, 83, 84, 85, 86, 87, 88),  # truncate, rename, mkdir, ..., symlink
            *(90, 91, 92, 93, 94, 133),  # chmod, chown, mknod and the like
            *(258, 259, 260, 263, 264, 265, 266, 268, 316, 452),  # those in folders
            *(165, 166, 321, 425),  # mount, umount2, bpf, io_uring_setup
        ),
        unknown=(435, 437),  # clone3, openat2
        clone=56,
        tgkill=234,
        opens={2: 1, 257: 2},
    ),
    "aarch64": _Machine(
        0xC00000B7,
        refused=(
            *(198, 199, 200, 201, 202, 203, 206, 211, 242, 269),
            *(221, 281),
            *(129, 130, 117, 270, 271),
            *(45, 33, 34, 35, 36, 37, 38, 276),
            *(52, 53, 54, 55, 452),
            *(40, 39, 280, 425),
        ),
        unknown=(435, 437),
        clone=220,
        tgkill=131,
        opens={56: 2},
    ),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install() -> bool:
    """Have the kernel refuse these calls to this process from now on; whether it will."""
    machine = _MACHINES.get(platform.machine())
    if machine is None or not sys.platform.startswith("linux") or sys.maxsize < 2**32:
        return False
    code = b"".join(_program(machine))
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, *map(ctypes.c_ulong, (1, 0, 0, 0))) != 0:
        return False
    mode = ctypes.c_ulong(_FILTER)
    return bool(libc.prctl(_SET_SECCOMP, mode, ctypes.byref(program), 0, 0) == 0)


def _program(machine: _Machine) -> Iterable[bytes]:
    yield _instruction(_LOAD, _ARCHITECTURE)
    yield _instruction(_EQUAL, machine.architecture, then=1)
    yield _instruction(_RETURN, _KILL)
    yield _instruction(_LOAD, _NUMBER)
    yield _instruction(_AT_LEAST, _X32, otherwise=1)
    yield _instruction(_RETURN, _ERROR | errno.EPERM)
    for number in machine.refused:
        yield from _returns_if(number, _ERROR | errno.EPERM)
    for number in machine.unknown:
        yield from _returns_if(number, _ERROR | errno.ENOSYS)
    for number, argument in machine.opens.items():
        yield from _tests(number, argument, _ANY_BIT, _WRITES, _ERROR | errno.EACCES, _ALLOW)
    yield from _tests(machine.clone, 0, _ANY_BIT, _THREAD, _ALLOW, _ERROR | errno.EPERM)
    yield from _tests(machine.tgkill, 0, _EQUAL, os.getpid(), _ALLOW, _ERROR | errno.EPERM)
    yield _instruction(_RETURN, _ALLOW)


def _returns_if(number: int, result: int) -> Iterable[bytes]:
    yield _instruction(_EQUAL, number, otherwise=1)
    yield _instruction(_RETURN, result)


def _tests(
    number: int, argument: int, test: int, value: int, then: int, otherwise: int
) -> Iterable[bytes]:
    """A call that is allowed or not by the lower half of one of its arguments."""
    yield _instruction(_EQUAL, number, otherwise=4)
    yield _instruction(_LOAD, _ARGUMENTS + 8 * argument)
    yield _instruction(test, value, otherwise=1)
    yield _instruction(_RETURN, then)
    yield _instruction(_RETURN, otherwise)


def _instruction(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """One `struct sock_filter`; the jumps are relative."""
    return struct.pack("=HBBI", code, then, otherwise, value)
