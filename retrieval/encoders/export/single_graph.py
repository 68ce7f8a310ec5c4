"""A model as one ONNX file with its weights in it, for ONNX Runtime in any language."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.encoders.export.pipeline import Model
from retrieval.encoders.model_folder import GRAPH_FILE, QUERY_WEIGHTS, TOKEN_HEAD, TOKENIZER_FILE
from retrieval.errors import CheckpointError, MissingDependency

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

QUERY_TOKENS = "query_tokens"

_README = """# {name}

A text's token ids go in, one text at a time, and vectors of unit length come out. It needs ONNX
Runtime 1.25 or newer.

```python
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

session = onnxruntime.InferenceSession("model.onnx")
tokenizer = Tokenizer.from_file("tokenizer.json")
outputs = [output.name for output in session.get_outputs()]


def encode(text, prefix="", longest={longest}):
    tokenizer.enable_truncation(longest)
    ids = np.array(tokenizer.encode(prefix + text).ids, np.int64)
    return dict(zip(outputs, session.run(outputs, {{"ids": ids}})))


document = encode("A writer takes the lock.", {document!r}, {longest})
query = encode("who takes the lock", {query!r}, {query_longest})
```

| output | shape | |
|---|---|---|
{rows}
"""

_ROWS = {
    "dense": "the dense vector; scores are inner products",
    "windows": "a dense vector for each part of a document, which scores as its best one",
    "tokens": "a vector for each token; a late score is the sum of a query's tokens' best matches",
    QUERY_TOKENS: "the same for a query, each as long as the token counts: to be used for queries "
    "in the place of `tokens`",
    "hidden": "of the network, after the last norm",
}


def write(model: Model, target: Path) -> None:
    """`model.onnx` with everything in it, `tokenizer.json`, and a README that says how to use them.

    Raises:
        CheckpointError: the model has no graph.
        MissingDependency: onnx is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise MissingDependency(
            "writing a graph needs onnx: pip install 'modernbert-retrieval[train]'"
        ) from None
    path = model.folder / GRAPH_FILE
    if not path.is_file():
        raise CheckpointError(f"{model.folder}: has no {GRAPH_FILE}; is this a whole model folder?")
    graph = onnx.load(str(path))
    if QUERY_WEIGHTS in model.weights and TOKEN_HEAD[0] in model.weights:
        _weigh_queries(graph, model)
    target.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, str(target / GRAPH_FILE))
    shutil.copyfile(model.folder / TOKENIZER_FILE, target / TOKENIZER_FILE)
    (target / "README.md").write_text(_readme(graph, model), encoding="utf-8")


def _weigh_queries(graph: ModelProto, model: Model) -> None:
    """Add `query_tokens`: the token vectors, each times its token's weight over their mean."""
    from onnx import TensorProto, helper, numpy_helper

    graph.graph.initializer.append(
        numpy_helper.from_array(model.weights[QUERY_WEIGHTS], QUERY_WEIGHTS)
    )
    graph.graph.initializer.append(_axes("query_weight_columns", [1]))
    graph.graph.initializer.append(_axes("query_weight_rows", [0]))
    steps: tuple[tuple[str, list[str], str, dict[str, Any]], ...] = (
        ("Gather", [QUERY_WEIGHTS, "ids"], "query_weight", {"axis": 0}),
        ("ReduceMean", ["query_weight", "query_weight_rows"], "query_weight_mean", {"keepdims": 1}),
        ("Div", ["query_weight", "query_weight_mean"], "query_factor", {}),
        ("Unsqueeze", ["query_factor", "query_weight_columns"], "query_factor_column", {}),
        ("Mul", ["tokens", "query_factor_column"], QUERY_TOKENS, {}),
    )
    for kind, inputs, output, attributes in steps:
        graph.graph.node.append(helper.make_node(kind, inputs, [output], **attributes))
    (tokens,) = [output for output in graph.graph.output if output.name == "tokens"]
    shape = [size.dim_param or size.dim_value for size in tokens.type.tensor_type.shape.dim]
    made = helper.make_tensor_value_info(QUERY_TOKENS, TensorProto.FLOAT, shape)
    graph.graph.output.append(made)


def _axes(name: str, axes: list[int]) -> TensorProto:
    from onnx import TensorProto, helper

    return helper.make_tensor(name, TensorProto.INT64, [len(axes)], axes)


def _readme(graph: ModelProto, model: Model) -> str:
    rows = []
    for output in graph.graph.output:
        shape = output.type.tensor_type.shape.dim
        sizes = ", ".join(str(size.dim_param or size.dim_value) for size in shape)
        rows.append(f"| `{output.name}` | [{sizes}] | {_ROWS[output.name]} |")
    settings = model.settings
    if settings.token_skiplist:
        words = " ".join(f"`{word}`" for word in settings.token_skiplist)
        rows += ["", f"Of a document's `tokens`, leave out those that stand for {words}."]
    return _README.format(
        name=settings.name or model.folder.name,
        longest=settings.max_tokens,
        query_longest=settings.query_max_tokens,
        document=settings.document_prefix,
        query=settings.query_prefix,
        rows="\n".join(rows),
    )
