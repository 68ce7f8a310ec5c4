"""The embedded model's network by ONNX Runtime, on every processor that it knows."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders import model_folder
from retrieval.errors import CheckpointError


class OnnxNetwork:
    """A model folder's graph; runs on the caller's thread, any number of them at once."""

    def __init__(self, folder: Path) -> None:
        """Open the graph.

        Raises:
            CheckpointError: it is not there, or ONNX Runtime cannot load it.
        """
        self._graph = folder / model_folder.GRAPH_FILE
        self._session = _session(self._graph)
        outputs = [output.name for output in self._session.get_outputs()]
        self._pooled = [name for name in outputs if name != "hidden"]
        self._by_token = [name for name in outputs if name in ("hidden", "tokens")]

    def __call__(self, ids: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """One text's ids i64 [L] to `dense` f32 [1, D], `windows` [w, D], `tokens` [L, d]."""
        return self._run(self._pooled, ids)

    def hidden(self, ids: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """One text's ids i64 [L] to `hidden` f32 [L, H], after the final norm, `tokens` [L, d].

        Raises:
            CheckpointError: the graph was written by a release that did not give them.
        """
        if "hidden" not in self._by_token:
            raise CheckpointError(
                f"{self._graph}: gives no hidden vectors, as those of older releases do not: "
                "export the model again"
            )
        return self._run(self._by_token, ids)

    def _run(self, names: list[str], ids: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        return dict(zip(names, self._session.run(names, {"ids": ids}), strict=True))


def _session(graph: Path) -> Any:
    """Open a graph for runs on one core each, any number of them at the same time."""
    import onnxruntime

    if not graph.is_file():
        raise CheckpointError(f"{graph}: not there: is this a whole model folder?")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # A pattern would be kept for every length of text ever met, and saves no time.
    options.enable_mem_pattern = False
    if int8_overflows():
        options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes have no base of their own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{graph}: ONNX Runtime {onnxruntime.__version__} cannot load it ({reason}): "
            "update onnxruntime (1.25 or newer is needed), or fetch the model again"
        ) from None


def int8_overflows() -> bool:
    """Whether this CPU's fast product of u8 by int8 adds pairs in 16 bits, which overflow.

    So it is on x86 without VNNI; ONNX Runtime has slower kernels that are right there.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return True
    return re.search(r"\bavx(512)?_vnni\b", flags) is None
