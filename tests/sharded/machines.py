"""Machines with addresses of their own: network namespaces that a bridge connects, and cables.

Nothing reaches out of them. It takes root, and `ip` of iproute2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

NETWORK = "10.213.7"
ENDED_S = 20.0


def can_be_made() -> bool:
    """Whether this process may make them."""
    if os.name != "posix" or os.geteuid() or shutil.which("ip") is None:
        return False
    name = f"rt-{uuid.uuid4().hex[:6]}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return made.returncode == 0


class Machines:
    """So many machines, each with an address and a cable that can be pulled."""

    def __init__(self, count: int, scratch: Path) -> None:
        self._scratch = scratch
        tag = uuid.uuid4().hex[:6]
        self._switch = f"rt-{tag}-s"
        self._names = [f"rt-{tag}-{number}" for number in range(count)]
        self._running: list[subprocess.Popen[bytes]] = []
        self.addresses = [f"{NETWORK}.{number + 1}" for number in range(count)]
        for name in (self._switch, *self._names):
            _ip("netns", "add", name)
        _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "bridge", "up")
        for number, name in enumerate(self._names):
            plug = f"port{number}"
            cable = ("link", "add", plug, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", self._switch, *cable)
            _ip("-n", self._switch, "link", "set", plug, "master", "bridge", "up")
            _ip("-n", name, "addr", "add", f"{self.addresses[number]}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", name, "link", "set", device, "up")

    def pull(self, number: int) -> None:
        """Cut a machine off: what is sent to it or by it gets nowhere, and nobody is told."""
        _ip("-n", self._switch, "link", "set", f"port{number}", "down")

    def plug(self, number: int) -> None:
        """Connect it again."""
        _ip("-n", self._switch, "link", "set", f"port{number}", "up")

    def start(
        self, number: int, command: Sequence[str], environment: Mapping[str, str], **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a process on a machine; it is ended with them."""
        name = self._names[number]
        log = (self._scratch / f"machine-{number}.log").open("ab")
        with log:
            made = subprocess.Popen(
                ["ip", "netns", "exec", name, *command],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=options.get("stdout", log),
                stderr=log,
            )
        self._running.append(made)
        return made

    def run(
        self, number: int, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a process on a machine to its end."""
        return subprocess.run(
            ["ip", "netns", "exec", self._names[number], *command],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def said(self) -> str:
        """The ends of what the machines' processes said, for a test that fails."""
        files = sorted(self._scratch.glob("machine-*.log"))
        return "\n".join(f"{file.name}:\n{file.read_text()[-2000:]}" for file in files)

    def stop(self) -> None:
        """End all that runs on them, and take them away."""
        for name in self._names:
            for process in _processes(name):
                with suppress(ProcessLookupError):
                    os.kill(process, 9)
        for one in self._running:
            one.wait()
        began = time.monotonic()
        while any(map(_processes, self._names)) and time.monotonic() - began < ENDED_S:
            time.sleep(0.1)
        for name in (*self._names, self._switch):
            _ip("netns", "del", name)


def _processes(name: str) -> list[int]:
    listed = subprocess.run(["ip", "netns", "pids", name], capture_output=True, check=False)
    return [int(one) for one in listed.stdout.split()]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
