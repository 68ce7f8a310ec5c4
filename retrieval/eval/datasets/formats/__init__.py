"""The formats of test collections, one module for each: its `FORMAT` is what counts.

A module that is put here is found by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from retrieval.eval.datasets.format import Format


def formats_in(package: str, path: Iterable[str]) -> tuple[Format, ...]:
    """The formats of a package's modules, in the order in which they are tried.

    Args:
        package: its dotted name.
        path: its folders.
    """
    modules = [
        importlib.import_module(f"{package}.{one.name}") for one in pkgutil.iter_modules(path)
    ]
    found: list[Format] = [module.FORMAT for module in modules]
    return tuple(sorted(found, key=lambda one: (one.precedence, one.name)))


FORMATS = formats_in(__name__, __path__)
