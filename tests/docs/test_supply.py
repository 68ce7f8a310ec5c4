"""NOTICE and requirements.lock say what the base install brings."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .notice import brought
from .pages import ROOT


def test_the_notice_lists_what_is_brought() -> None:
    noted = dict(
        line.strip().split(": ", 1)
        for line in (ROOT / "NOTICE").read_text(encoding="utf-8").splitlines()
        if line.startswith("  ")
    )
    assert set(brought()) <= set(noted)  # other systems bring others
    copyleft = {name for name, licence in noted.items() if re.search(r"\b[AL]?GPL", licence)}
    assert copyleft == set()


def test_the_lock_pins_what_the_package_asks_for() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9-]+)==(\S+).*\\\n    --hash=sha256:", lock, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^\S+==", lock, re.MULTILINE))
    pinned: dict[str, set[str]] = {}
    for name, version in pins:  # several where Python's version decides
        pinned.setdefault(name, set()).add(version)
    described = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for line in described["project"]["dependencies"]:
        asked = Requirement(line)
        versions = pinned[canonicalize_name(asked.name)]
        assert all(version in asked.specifier for version in versions), line
