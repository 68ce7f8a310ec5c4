from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.index import Index

from .fake_encoder import FakeEncoder
from .source_files import write


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def index(tmp_path: Path, encoder: FakeEncoder) -> Iterator[Index]:
    """An empty index in `tmp_path / "index"`."""
    with Index.create(tmp_path / "index", encoder=encoder) as made:
        yield made


@pytest.fixture
def docs(tmp_path: Path, index: Index) -> Path:
    """Three files beside the index."""
    write(tmp_path / "docs" / "a.md", "# Apples\n\nabout apples")
    write(tmp_path / "docs" / "b.txt", "about bananas")
    write(tmp_path / "docs" / "sub" / "c.py", "cherries = 1\n")
    return tmp_path / "docs"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB of its own, where the system lets us have one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no right to mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)
