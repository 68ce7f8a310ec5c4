"""Whether a path is a file or a folder, where the system may refuse to say.

`Path.is_dir` and its like raise an error for a path below a folder that may not be entered, and for
a name that is too long; to whoever asks here, such a path is no file and no folder.
"""

# ruff: noqa: PTH112, PTH113 (of `os.path`, since these do not raise)

from __future__ import annotations

import os
from pathlib import Path


def is_folder(path: Path) -> bool:
    """Whether there is a folder, or a link to one, that can be reached."""
    return os.path.isdir(path)


def is_file(path: Path) -> bool:
    """Whether there is a regular file, or a link to one, that can be reached."""
    return os.path.isfile(path)


def is_there(path: Path) -> bool:
    """Whether there is anything by this name that can be reached, be it a link that is broken."""
    return os.path.lexists(path)
