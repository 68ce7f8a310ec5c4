"""What this machine would run each part on, and why not on the alternatives."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

INSTALL_TORCH = "pip install 'modernbert-retrieval[torch]'"


@dataclass(frozen=True, slots=True)
class Choice:
    """The choice for one job on this machine.

    Attributes:
        job: the job.
        used: what is used for it.
        why_not: the alternatives, in order of preference, and why each is not used.
    """

    job: str
    used: str
    why_not: Mapping[str, str] = field(default_factory=dict)


def choices() -> list[Choice]:
    """What each job would run on in this process, given the installation and the environment.

    Raises:
        InputError: an environment variable names something that is not available here.
    """
    return [*_embedded_model(), *_checkpoints(), *_searches()]


def _embedded_model() -> Iterator[Choice]:
    from retrieval.encoders.runtimes import compiled
    from retrieval.encoders.runtimes.cpu import usable_cores

    used = compiled.chosen()
    if used is None:
        yield Choice("embedded model", "onnx", {"compiled": compiled.obstacle() or ""})
    else:
        others = _other_sets(used, compiled.KNOWN, compiled.available())
        yield Choice(
            "embedded model", f"compiled, {used}", others | {"onnx": "slower than compiled"}
        )
    yield Choice("embedded model's threads", str(usable_cores()))


def _checkpoints() -> Iterator[Choice]:
    """The choices for all other models: device, precision, attention."""
    if importlib.util.find_spec("torch") is None:
        yield Choice("other models", "nothing", {"torch": f"not installed: {INSTALL_TORCH}"})
        return
    import torch

    from retrieval.encoders.model import fused
    from retrieval.encoders.model.attention import Call, choose, obstacles
    from retrieval.encoders.runtimes.torch import (
        bfloat16_obstacle,
        choose_device,
        default_dtype,
    )

    device = choose_device()
    if device.type == "cuda":
        used = f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
        yield Choice("other models", used, {"cpu": "slower than the GPU"})
    else:
        built = torch.version.cuda is not None or torch.version.hip is not None
        why = "no GPU was found" if built else f"torch {torch.__version__} is built for CPUs only"
        threads = torch.get_num_threads()
        yield Choice("other models", f"cpu, torch {torch.__version__}", {"cuda": why})
        yield Choice("other models' threads", str(threads))
    dtype = default_dtype(device)
    bfloat16 = bfloat16_obstacle(device)
    if bfloat16 is None:
        yield Choice("precision", "bfloat16", {"float32": "slower than bfloat16"})
    else:
        yield Choice("precision", "float32", {"bfloat16": bfloat16})
    call = Call(device, dtype)
    chosen = choose(call)
    others = {name: why for name, why in obstacles(call).items() if name != chosen}
    yield Choice(
        "attention", chosen, {name: why or f"comes after {chosen}" for name, why in others.items()}
    )
    with torch.inference_mode():
        why_fused = fused.obstacle(device)
    if why_fused is None:
        yield Choice("norms, rotation, GeGLU", "fused", {"torch": "slower than fused"})
    else:
        yield Choice("norms, rotation, GeGLU", "torch", {"fused": why_fused})


def _searches() -> Iterator[Choice]:
    from retrieval.indexes import kernels
    from retrieval.indexes.kernels import backend, threads

    used = kernels.isa()
    others = _other_sets(used, backend.KNOWN, backend.available())
    yield Choice("late interaction", used, others)
    yield Choice("late interaction's threads", str(threads.count()))
    yield Choice("dense search", f"faiss {_faiss_version()} on the CPU", {"GPU": _no_faiss_gpu()})


def _other_sets(used: str, known: Sequence[str], able: Sequence[str]) -> dict[str, str]:
    """Why each other instruction set is not used."""
    return {
        name: f"not chosen; RETRIEVAL_ISA={name} chooses it"
        if name in able
        else "not supported by this processor, or not built"
        for name in known
        if name != used
    }


def _faiss_version() -> str:
    import faiss

    return str(faiss.__version__)


def _no_faiss_gpu() -> str:
    """Why dense vectors are not searched on a GPU."""
    import faiss

    if not hasattr(faiss, "StandardGpuResources"):
        return "this faiss is built for CPUs only"
    if not faiss.get_num_gpus():
        return "faiss finds no GPU"
    return "faiss finds one, but segments are searched where they are on disk, without copying"
