"""What the commands under `retrieval model` do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrieval.cli import render
from retrieval.cli.json_output import print_json
from retrieval.cli.style import safe
from retrieval.encoders.checkpoints import detect, open_folder
from retrieval.encoders.embedded import available_models, embedded_folder
from retrieval.encoders.export.exporting import ExportFormat, export_model
from retrieval.errors import InputError


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model on this machine.

    Attributes:
        name: what to call it in `--encoder`; an embedded model's own name.
        place: "embedded" or "Hub cache".
        bytes: of its files.
        path: its folder.
    """

    name: str
    place: str
    bytes: int
    path: Path


def run_list(*, as_json: bool) -> None:
    """Print the models on this machine."""
    found = [
        LocalModel(name, "embedded", _size(path), path) for name, path in available_models().items()
    ]
    found += _cached()
    if as_json:
        print_json(found)
        return
    if not found:
        sys.stderr.write("no models; fetch one with `retrieval model download ID`\n")
    wide = max((len(model.name) for model in found), default=0)
    for model in found:
        size = render.size(model.bytes)
        sys.stdout.write(f"{safe(model.name):<{wide}}  {model.place:<9}  {size:>8}  {model.path}\n")


def run_info(source: str | None, *, as_json: bool) -> None:
    """Load a model and print what it can do."""
    from retrieval.encoders import load_encoder

    folder = open_folder(embedded_folder() if source is None else source)
    encoder = load_encoder(source)
    facts = {
        "name": encoder.name,
        "format": detect(folder),
        "dense_dim": encoder.dense_dim,
        "token_dim": encoder.token_dim,
        "max_tokens": encoder.max_tokens,
        "fingerprint": encoder.fingerprint,
        "bytes": _size(folder.path),
        "path": folder.path,
    }
    if as_json:
        print_json(facts)
        return
    facts["bytes"] = render.size(_size(folder.path))
    for name, value in facts.items():
        label = {"dense_dim": "dense", "token_dim": "token", "bytes": "size"}.get(name, name)
        shown = "none" if value is None else value
        sys.stdout.write(f"{label.replace('_', ' '):<12} {safe(str(shown))}\n")


def run_download(repository: str, *, as_json: bool) -> None:
    """Fetch a model into the Hub's cache and print where it lies."""
    if Path(repository).expanduser().exists():
        raise InputError(f"{repository} is on this machine already; use it with --encoder")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # it shows them to pipes, too
    folder = open_folder(repository)
    if as_json:
        print_json({"name": repository, "format": detect(folder), "path": folder.path})
    else:
        sys.stdout.write(f"{repository}: {detect(folder)}, in {folder.path}\n")


def run_export(target: Path, source: str | None, *, format: ExportFormat, as_json: bool) -> None:
    """Write a model of this package into a folder."""
    folder = embedded_folder() if source is None else open_folder(source).path
    export_model(folder, target, format=format)
    if as_json:
        print_json({"path": target, "format": format, "bytes": _size(target)})
    else:
        sys.stdout.write(f"{target}: {format}, {render.size(_size(target))}\n")


def _cached() -> Iterator[LocalModel]:
    """Checkpoints in the Hub's cache that have weights which can be read."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cache = scan_cache_dir()
    except CacheNotFound:
        return
    for repo in sorted(cache.repos, key=lambda repo: repo.repo_id):
        for revision in repo.revisions:
            if repo.repo_type == "model" and any(revision.snapshot_path.rglob("*.safetensors")):
                yield LocalModel(
                    repo.repo_id, "Hub cache", revision.size_on_disk, revision.snapshot_path
                )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
