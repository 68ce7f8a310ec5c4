from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def no_power_cut() -> Iterator[None]:
    """Nothing here has to outlive one, and hundreds of files are forced to the disk sooner so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield
