"""Choosing the kernels: the compiled ones for this processor, or numpy's where there are none."""

from __future__ import annotations

import functools
import logging
import os
import threading
from types import ModuleType

from retrieval.errors import InputError
from retrieval.indexes.kernels import reference

VARIABLE = "RETRIEVAL_ISA"

KNOWN = ("avx512", "avx2", "neon", "portable", reference.ISA)
"""All instruction sets that have kernels, on any processor."""

_OF_ENCODER = {"amx": "avx512", "avxvnni": "avx2", "i8mm": "neon"}
"""Values of RETRIEVAL_ISA that only the encoder has, and what the kernels use for them."""

_NO_NATIVE = (
    "late interaction runs on numpy, many times slower than it could, and the embedded model by "
    "ONNX Runtime: this installation has no compiled kernels (reinstall where there is a C "
    "compiler, or set RETRIEVAL_ISA=numpy)"
)

_choosing = threading.Lock()


def chosen() -> ModuleType:
    """The module that has the kernels, chosen at the first call; a slow choice is logged once.

    RETRIEVAL_ISA names another instruction set than the best one: see `available`.

    Raises:
        InputError: the variable names one that this installation or processor lacks.
    """
    with _choosing:  # a cache alone would let several threads choose, and log, at once
        return _chosen()


@functools.cache
def _chosen() -> ModuleType:
    wanted = os.environ.get(VARIABLE)
    names = available()
    if wanted is None:
        if names == [reference.ISA]:
            logging.getLogger(__name__).warning(_NO_NATIVE)
        wanted = names[0]
    wanted = _OF_ENCODER.get(wanted, wanted)
    if wanted not in names:
        raise InputError(
            f"{VARIABLE}={wanted!r} cannot be used here; set one of {', '.join(names)}, or nothing"
        )
    if wanted == reference.ISA:
        return reference
    compiled = _compiled()
    assert compiled is not None
    compiled.use(wanted)
    return compiled


def available() -> list[str]:
    """The instruction sets that RETRIEVAL_ISA can name here, best first; the last is numpy."""
    compiled = _compiled()
    return [*(compiled.available() if compiled else []), reference.ISA]


def isa() -> str:
    """The instruction set that the kernels use: avx512, avx2, neon, portable or numpy."""
    module = chosen()
    return reference.ISA if module is reference else str(module.isa())


def _compiled() -> ModuleType | None:
    try:
        from retrieval.indexes.kernels import native
    except ImportError:
        return None
    return native
