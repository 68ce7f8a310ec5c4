"""A model of a file system that loses what was not forced to the disk; replays a recorded trace.

What `fsync` of a file promises is its data, and nothing of its name; what `fsync` of a folder
promises is the names in it. Until then a power cut may keep any of a file's writes, the last one in
part, and of the changes of a folder's names the first so many, which are made in order. That
is less than common file systems promise.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
"""Bytes that a disk writes whole or not at all."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the trace: what was done, to what, and the data of a write."""

    what: str
    parts: tuple[str, ...]
    data: bytes = b""


def read_trace(file: Path) -> list[Record]:
    """The records of a trace that `interposed.c` wrote."""
    return list(_records(file.read_bytes()))


def _records(data: bytes) -> Iterator[Record]:
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        what, *parts = data[at:end].decode().split("\t")
        at = end + 1
        length = int(parts[2]) if what == "write" else 0
        yield Record(what, tuple(parts), data[at : at + length])
        at += length


@dataclass(slots=True)
class _File:
    """Durable bytes, and what was done since: `(offset, data)`, or `(length, None)` for a cut."""

    durable: bytes = b""
    waiting: list[tuple[int, bytes | None]] = field(default_factory=list)

    def with_(self, changes: list[tuple[int, bytes | None]]) -> bytes:
        made = bytearray(self.durable)
        for at, data in changes:
            if data is None:
                made[at:] = bytes(max(0, at - len(made)))
            else:
                made.extend(bytes(max(0, at - len(made))))
                made[at : at + len(data)] = data
        return bytes(made)


@dataclass(slots=True)
class _Folder:
    """Durable names, and what was done to them since, in order; None takes a name away."""

    durable: dict[str, _Node] = field(default_factory=dict)
    waiting: list[dict[str, _Node | None]] = field(default_factory=list)

    def names(self, changes: int | None = None) -> dict[str, _Node]:
        """With so many of the waiting changes, all by default."""
        made: dict[str, _Node | None] = dict(self.durable)
        for change in self.waiting[:changes]:
            made |= change
        return {name: node for name, node in made.items() if node is not None}


_Node = _File | _Folder


class Disk:
    """A folder as the trace leaves it, and as a power cut may leave it.

    Args:
        root: the path that the trace has for it; it is there, empty and durable.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = _Folder()

    def play(self, record: Record) -> None:
        """Do what was done."""
        parts = record.parts
        match record.what:
            case "note":
                pass
            case "write" | "truncate" | "sync" if not self._is_there(parts[0]):
                pass  # by a descriptor that outlived the name: no cut leaves anything of it
            case "create":
                self._set(parts[0], _File())
            case "mkdir":
                self._set(parts[0], _Folder())
            case "write":
                self._file(parts[0]).waiting.append((int(parts[1]), record.data))
            case "truncate":
                self._file(parts[0]).waiting.append((int(parts[1]), None))
            case "unlink" | "rmdir":
                folder, name = self._place(parts[0])
                folder.waiting.append({name: None})
            case "link":
                self._set(parts[1], self._node(parts[0]))
            case "rename":
                folder, name = self._place(parts[0])
                into, other = self._place(parts[1])
                if folder is not into:
                    raise ValueError(f"a rename between two folders is not modelled: {parts}")
                folder.waiting.append({name: None, other: folder.names()[name]})
            case "sync":
                node = self._node(parts[0])
                if isinstance(node, _Folder):
                    node.durable = node.names()
                else:
                    node.durable = node.with_(node.waiting)
                node.waiting = []
            case what:
                raise ValueError(f"{what!r} is not modelled")

    def cut(self, target: Path, chance: random.Random | None) -> None:
        """Write into a new folder what a power cut leaves.

        Args:
            chance: decides what of the waiting changes is kept; None keeps none.
        """
        self._write(self._top, target, chance)

    def _write(self, folder: _Folder, target: Path, chance: random.Random | None) -> None:
        target.mkdir()
        kept = chance.randint(0, len(folder.waiting)) if chance else 0
        for name, node in folder.names(kept).items():
            if isinstance(node, _Folder):
                self._write(node, target / name, chance)
            else:
                (target / name).write_bytes(node.with_(_kept(node.waiting, chance)))

    def _set(self, path: str, node: _Node) -> None:
        folder, name = self._place(path)
        folder.waiting.append({name: node})

    def _place(self, path: str) -> tuple[_Folder, str]:
        folder = self._node(str(Path(path).parent))
        if not isinstance(folder, _Folder):
            raise ValueError(f"{path} is in no folder of the trace")
        return folder, Path(path).name

    def _file(self, path: str) -> _File:
        node = self._node(path)
        if not isinstance(node, _File):
            raise ValueError(f"{path} is no file of the trace")
        return node

    def _is_there(self, path: str) -> bool:
        try:
            self._node(path)
        except KeyError:
            return False
        return True

    def _node(self, path: str) -> _Node:
        node: _Node = self._top
        for name in Path(path).relative_to(self._root).parts:
            if not isinstance(node, _Folder):
                raise ValueError(f"{path} is below a file")
            node = node.names()[name]
        return node


def _kept(
    waiting: list[tuple[int, bytes | None]], chance: random.Random | None
) -> list[tuple[int, bytes | None]]:
    """Some of the changes, the last of them perhaps in part; none without chance."""
    if chance is None:
        return []
    share = chance.choice((0.0, 0.5, 0.9, 1.0))
    kept = [change for change in waiting if chance.random() < share]
    if kept and chance.random() < 0.5:
        at, data = kept[-1]
        if data is not None:
            kept[-1] = (at, data[: SECTOR * chance.randint(0, len(data) // SECTOR)])
    return kept
