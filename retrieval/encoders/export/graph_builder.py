"""Writes an ONNX graph whose weights stay in a safetensors file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders.model.quantized import TensorPlace
from retrieval.encoders.model_folder import WEIGHTS_FILE
from retrieval.errors import MissingDependency

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own nodes."""

# What ONNX Runtime 1.25 reads; opset 23 brought the node `Attention`.
_OPSETS = {"": 23, MICROSOFT: 1}
_IR_VERSION = 11


class GraphBuilder:
    """Collects nodes and initialisers, all known by the names of their outputs."""

    def __init__(self, places: Mapping[str, TensorPlace]) -> None:
        try:
            import onnx
        except ImportError:
            raise MissingDependency(
                "writing a graph needs onnx: pip install 'modernbert-retrieval[train]'"
            ) from None
        self.onnx = onnx
        self.f32 = int(onnx.TensorProto.FLOAT)
        self.places = places
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self.constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def op(
        self, kind: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Add a node with one output, and return the output's name: `name`, or a fresh one."""
        output = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(
            self.onnx.helper.make_node(kind, inputs, [output], domain=domain, **attributes)
        )
        return output

    def fused(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add one of ONNX Runtime's own nodes."""
        return self.op(kind, *inputs, domain=MICROSOFT, **attributes)

    def constant(self, value: int | float | Sequence[int] | NDArray[Any]) -> str:
        """A small tensor inside the graph; Python ints become i64, floats f32."""
        array = np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            name = self.constants[key] = f"constant_{len(self.constants)}"
            self.initializers[name] = self.onnx.numpy_helper.from_array(array, name)
        return self.constants[key]

    def tensor(self, name: str, rows: tuple[int, int] | None = None) -> str:
        """A stored tensor, or a run of its rows, as an initialiser that points into the file."""
        place = self.places[name]
        first, last = rows or (0, place.shape[0])
        key = f"{name}[{first}:{last}]" if rows else name
        if key in self.initializers:
            return key
        row_bytes = place.size // place.shape[0]
        types = {"F32": self.onnx.TensorProto.FLOAT, "I8": self.onnx.TensorProto.INT8}
        proto = self.onnx.TensorProto(
            name=key,
            data_type=types[place.dtype],
            dims=(last - first, *place.shape[1:]),
            data_location=self.onnx.TensorProto.EXTERNAL,
        )
        for entry, value in (
            ("location", WEIGHTS_FILE),
            ("offset", place.offset + first * row_bytes),
            ("length", (last - first) * row_bytes),
        ):
            proto.external_data.add(key=entry, value=str(value))
        self.initializers[key] = proto
        return key

    def zero_points(self, tensor: str) -> str:
        """The code of 0 in each row of a symmetric int8 tensor: int8 zeros [rows]."""
        # One initialiser a tensor: where ONNX Runtime turns weights into u8 for CPUs on which int8
        # would overflow, it rewrites these too, and fails if it meets one twice.
        name = f"{tensor}_zero"
        rows = int(self.initializers[tensor].dims[0])
        zeros = np.zeros(rows, np.int8)
        self.initializers[name] = self.onnx.numpy_helper.from_array(zeros, name)
        return name

    def model(self, ids: Sequence[int | str], outputs: Mapping[str, Sequence[int | str]]) -> bytes:
        """Serialise what was collected, as a graph from `ids` i64 to f32 outputs."""
        helper, types = self.onnx.helper, self.onnx.TensorProto
        graph = helper.make_graph(
            self.nodes,
            "modernbert",
            [helper.make_tensor_value_info("ids", types.INT64, ids)],
            [helper.make_tensor_value_info(n, types.FLOAT, s) for n, s in outputs.items()],
            list(self.initializers.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(*item) for item in _OPSETS.items()],
            ir_version=_IR_VERSION,
            producer_name="modernbert-retrieval",
        )
        serialised: bytes = model.SerializeToString(deterministic=True)
        return serialised
