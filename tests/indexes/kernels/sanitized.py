"""Run tests over another build of the compiled kernels: `make sanitize` does, with sanitizers.

python tests/indexes/kernels/sanitized.py path/to/_native.abi3.so [pytest's arguments]
"""

import importlib.util
import sys

import pytest

NAME = "retrieval.indexes.kernels._native"


def load(path: str) -> None:
    """Put the module in place before anything imports the installed one."""
    spec = importlib.util.spec_from_file_location(NAME, path)
    assert spec is not None and spec.loader is not None, path
    sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[NAME])


if __name__ == "__main__":
    load(sys.argv[1])
    sys.exit(pytest.main(sys.argv[2:]))
