"""NOTICE: what the base install brings along, and under which licence.

    python -m tests.docs.notice > NOTICE

The licences are what the installed packages say of themselves.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

from .pages import ROOT

_CLASSIFIER = "License :: OSI Approved :: "
_HEAD = """This product is distributed with the model that it embeds; see the model's card in
retrieval/models. The base install brings these packages along, each under its own licence:
"""


def brought() -> dict[str, str]:
    """The licence of each package that the base install needs here, by name."""
    found: dict[str, str] = {}
    described = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    waiting = _needed(described["project"]["dependencies"])
    while waiting:
        name = waiting.pop()
        try:
            package = distribution(name)
        except PackageNotFoundError:  # of another system or another Python
            continue
        name = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
        if name in found:
            continue
        found[name] = licence(package)
        waiting += _needed(package.requires or ())
    return dict(sorted(found.items()))


def _needed(requirements: Iterable[str]) -> list[str]:
    """The names of those that hold here."""
    parsed = map(Requirement, requirements)
    return [it.name for it in parsed if it.marker is None or it.marker.evaluate({"extra": ""})]


def licence(package: Distribution) -> str:
    """As the package says it: an SPDX expression, else classifiers, else a text's first line."""
    metadata = package.metadata
    expression = metadata.get("License-Expression")
    if expression:
        return expression
    classifiers = metadata.get_all("Classifier") or ()
    named = [line.removeprefix(_CLASSIFIER) for line in classifiers if line.startswith(_CLASSIFIER)]
    if named:
        return ", ".join(named)
    if metadata.get("License"):
        return str(metadata["License"]).strip().splitlines()[0]
    for name in metadata.get_all("License-File") or ():
        if text := (package.read_text(f"licenses/{name}") or "").strip():
            return text.splitlines()[0]
    return "see the package"


def text() -> str:
    """The whole file."""
    return _HEAD + "".join(f"\n  {name}: {licence}" for name, licence in brought().items()) + "\n"


if __name__ == "__main__":
    print(text(), end="")
