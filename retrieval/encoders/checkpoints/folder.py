"""The files of a checkpoint: a folder on this machine, or a repository of the Hugging Face Hub.

From the Hub come only the files that are read here: JSON, safetensors, vocabularies. Pickles and
Python files are never fetched, and never opened where a folder has them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from retrieval.errors import CheckpointError
from retrieval.files.regular import read_regular

METADATA_FILES = ("*.json", "*vocab.txt", "*merges.txt", "*.model", "artifact.metadata")
"""What is fetched from the Hub before it is known which weights are needed."""

WEIGHT_FILES = "model*.safetensors"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_MAX_JSON = 256 << 20


_LOCAL_ONLY: ContextVar[bool] = ContextVar("local_only", default=False)


class NotNative(Exception):  # noqa: N818
    """Our own network cannot run this; sentence-transformers may. Says what it is."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of checkpoint files.

    Attributes:
        name: to show: what the user asked for.
    """

    path: Path
    name: str

    def sub(self, path: str) -> Folder:
        """A folder inside this one; "" is this one.

        Raises:
            CheckpointError: the path leads out of it.
        """
        parts = PurePosixPath(path.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts:
            raise CheckpointError(f"{self.name}: names a folder outside of itself, {path!r}")
        if not parts.parts:
            return self
        return Folder(self.path / parts, f"{self.name}/{parts}")

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return (self.path / name).is_file()

    def json(self, name: str) -> Any:
        """The contents of a JSON file.

        Raises:
            CheckpointError: it is missing, unreadable or not JSON.
        """
        try:
            return json.loads(read_regular(self.path / name, max_bytes=_MAX_JSON).decode("utf-8"))
        except FileNotFoundError:
            raise CheckpointError(
                f"{self.name}: no {name} there: is this a whole checkpoint?"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(
                f"{self.name}: {name} cannot be read ({_why(error)}): fetch the checkpoint again"
            ) from None

    def object(self, name: str, *, optional: bool = False) -> dict[str, Any]:
        """The JSON object in a file; {} if it may be missing and is.

        Raises:
            CheckpointError: it is missing, unreadable or not a JSON object.
        """
        if optional and not self.has(name):
            return {}
        contents = self.json(name)
        if not isinstance(contents, dict):
            raise CheckpointError(f"{self.name}: {name} holds no JSON object, expected one")
        return contents

    @property
    def architectures(self) -> list[str]:
        """What config.json says that the network was made for; empty where it says nothing."""
        given = self.object("config.json", optional=True).get("architectures")
        return [str(name) for name in given] if isinstance(given, list) else []


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def open_folder(source: str | Path) -> Folder:
    """The folder at a path, or a snapshot of the Hub repository of that id.

    Raises:
        CheckpointError: there is neither, or the Hub cannot be reached.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return Folder(path, str(source))
    if path.exists():
        raise CheckpointError(f"{source}: a file, expected the folder of a checkpoint")
    if not isinstance(source, str) or not _HUB_ID.fullmatch(source):
        raise CheckpointError(f"{source}: no such folder; give a folder or a Hub id (owner/name)")
    return Folder(_snapshot(source), source)


@contextmanager
def without_network() -> Iterator[None]:
    """In the block, Hub ids are looked up on this machine alone."""
    token = _LOCAL_ONLY.set(True)
    try:
        yield
    finally:
        _LOCAL_ONLY.reset(token)


def _snapshot(repo: str) -> Path:
    """Fetch a repository's metadata, then the weights of the modules that it names."""
    path = _download(repo, METADATA_FILES)
    modules = Folder(path, repo)
    listed = modules.json("modules.json") if modules.has("modules.json") else []
    folders = {""} | {
        str(module.get("path") or "").strip("/") for module in listed if isinstance(module, dict)
    }
    return _download(repo, [f"{folder}/{WEIGHT_FILES}".lstrip("/") for folder in sorted(folders)])


def _download(repo: str, patterns: Any) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    local: dict[str, Any] = {"local_files_only": True} if _LOCAL_ONLY.get() else {}
    try:
        return Path(
            huggingface_hub.snapshot_download(
                repo,
                allow_patterns=list(patterns),
                ignore_patterns=["onnx/*", "openvino/*", "checkpoint-*/*"],
                **local,
            )
        )
    except errors.GatedRepoError:
        raise CheckpointError(
            f"{repo}: its owner wants terms to be accepted: "
            f"do so at https://huggingface.co/{repo} and run `hf auth login`"
        ) from None
    except errors.RepositoryNotFoundError:
        raise CheckpointError(
            f"{repo}: no such folder, and no such repository on the Hugging Face Hub "
            "(a private one needs `hf auth login`)"
        ) from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError):
        if local:
            raise CheckpointError(
                f"{repo}: not on this machine, and not fetched, since it is the index that names "
                f"it; if you trust it: retrieval model download {repo}"
            ) from None
        raise CheckpointError(
            f"{repo}: no such folder, not in the Hub's cache on this machine, and the Hub cannot "
            "be reached: go online once, or give a folder"
        ) from None
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
        reason = str(error).strip().splitlines()
        raise CheckpointError(
            f"{repo}: cannot be fetched from the Hub ({reason[0] if reason else error!r})"
        ) from None
