"""`retrieval model list`: the models on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrieval.cli.commands.model.group import models
from retrieval.cli.options import AsJson


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model on this machine.

    Attributes:
        name: its name for `--encoder`; for an embedded model its own name.
        place: "embedded" or "Hub cache".
        bytes: size of its files.
        path: its folder.
    """

    name: str
    place: str
    bytes: int
    path: Path


@models.command("list", short_help="List the models on this machine.")
def list_models(as_json: AsJson = False) -> None:
    """List the models on this machine: those in the package, and those fetched from the Hub."""
    from retrieval.cli.output.amounts import size
    from retrieval.cli.output.json_output import print_json
    from retrieval.encoders.embedded import available_models
    from retrieval.service.printable import safe
    from retrieval.store.files import folder_bytes

    found = [
        LocalModel(name, "embedded", folder_bytes(path), path)
        for name, path in available_models().items()
    ]
    found += _cached()
    if as_json:
        print_json(found)
        return
    if not found:
        sys.stderr.write("no models; fetch one with `retrieval model download ID`\n")
    wide = max((len(model.name) for model in found), default=0)
    for model in found:
        shown = size(model.bytes)
        sys.stdout.write(
            f"{safe(model.name):<{wide}}  {model.place:<9}  {shown:>8}  {model.path}\n"
        )


def _cached() -> Iterator[LocalModel]:
    """Checkpoints in the Hub's cache with weights that can be read."""
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
