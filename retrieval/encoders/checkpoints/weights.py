"""Tensors from safetensors files into torch modules: nothing else is read, nothing is guessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

from retrieval.encoders.checkpoints.folder import Folder
from retrieval.encoders.model.quantized import tensor_places
from retrieval.errors import CheckpointError

WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.dnn")


def weight_files(folder: Folder) -> list[Path]:
    """The safetensors files that hold a folder's weights: one, or the shards that its index names.

    Raises:
        CheckpointError: there is none, or an index names a file that is not there.
    """
    if folder.has(WEIGHTS):
        return [folder.path / WEIGHTS]
    if folder.has(SHARDS):
        names = folder.object(SHARDS).get("weight_map")
        if not isinstance(names, dict) or not names:
            raise CheckpointError(f"{folder.name}: {SHARDS} names no file: fetch it again")
        shards = sorted({str(name) for name in names.values()})
        for shard in shards:
            if Path(shard).name != shard or not folder.has(shard):
                raise CheckpointError(
                    f"{folder.name}: {SHARDS} names {shard!r}, which is not in the folder: "
                    "fetch the checkpoint again"
                )
        return [folder.path / shard for shard in shards]
    pickles = sorted(
        path.name for pattern in _PICKLES for path in folder.path.glob(pattern) if path.is_file()
    )
    if pickles:
        raise CheckpointError(
            f"{folder.name}: its weights are only there as {pickles[0]}, a pickle, and reading a "
            "pickle can run any code; if you trust it, make safetensors of it: "
            "AutoModel.from_pretrained(folder).save_pretrained(folder), with transformers"
        )
    raise CheckpointError(
        f"{folder.name}: no {WEIGHTS} there; weights are read from safetensors files only"
    )


def read_tensors(folder: Folder) -> dict[str, Tensor]:
    """Every floating tensor of a folder's weights, as f32.

    Raises:
        CheckpointError: a file is missing, truncated, or not safetensors.
    """
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Tensor] = {}
    for path in weight_files(folder):
        tensor_places(path)
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118  (not a dict)
                    tensors[name] = file.get_tensor(name).float()
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{path}: cannot be read ({error}): fetch the checkpoint again"
            ) from None
    return tensors


def fill(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Give a module its weights; it may stand on the meta device.

    Args:
        tensors: by the names of the module's own state; others are passed over.
        source: where they are from, for errors.

    Raises:
        CheckpointError: one is missing or of another shape.
    """
    expected = module.state_dict()
    missing = [name for name in expected if name not in tensors]
    if missing:
        raise CheckpointError(
            f"{source}: the weights lack {_some(missing)}: is this a whole checkpoint?"
        )
    for name, tensor in expected.items():
        if tensors[name].shape != tensor.shape:
            raise CheckpointError(
                f"{source}: {name} has the shape {tuple(tensors[name].shape)}, where the "
                f"configuration asks for {tuple(tensor.shape)}"
            )
    module.load_state_dict({name: tensors[name] for name in expected}, assign=True)


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more
