"""Run tests over another build of the compiled modules: `make sanitize` does, with sanitizers.

python tests/sanitized.py path/to/build [pytest's arguments]
"""

import importlib.util
import sys
from pathlib import Path

import pytest

MODULES = ("retrieval.indexes.kernels._native", "retrieval.encoders._compiled")


def load(build: Path) -> None:
    """Put the modules in place before anything imports the installed ones."""
    for name in MODULES:
        path = build.joinpath(*name.split(".")).with_suffix(".abi3.so")
        if not path.exists():
            sys.exit(f"{path}: not built")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None, path
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except ImportError as wrong:  # not for this processor: its tests skip themselves
            print(f"{name}: {wrong}")
            del sys.modules[name]


if __name__ == "__main__":
    load(Path(sys.argv[1]))
    sys.exit(pytest.main(sys.argv[2:]))
