"""The token vectors of a model, as PyLate computes them; sentence-transformers reads them, too.

The token head is skip(x) + down(gelu(up(x))). PyLate's Dense with a residual is
gelu(W x) + R x: with W = [0; up] and R = [1; 0] it gives x and gelu(up(x)) side by side, and a
second Dense of [skip, down] gives the head's vectors. They are the same to rounding.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from retrieval.encoders.export.pipeline import IDENTITY, Model, Module, write_pipeline
from retrieval.encoders.model_folder import NEAR, QUERY_WEIGHTS, TOKEN_HEAD
from retrieval.errors import CheckpointError

_DENSE = "pylate.models.Dense.Dense"
_GELU = "torch.nn.modules.activation.GELU"


def write(model: Model, target: Path) -> None:
    """Trunk and token head; in f32.

    Raises:
        CheckpointError: the model has no token head, or one that PyLate's modules cannot express.
    """
    skip, up, down = (model.weights.get(name) for name in TOKEN_HEAD)
    _check(model)
    assert skip is not None and up is not None and down is not None
    hidden, inner, dim = model.config.hidden_size, up.shape[0], skip.shape[0]
    wide = hidden + inner
    first = {
        "in_features": hidden,
        "out_features": wide,
        "bias": False,
        "activation_function": _GELU,
        "use_residual": True,
    }
    branches = {
        "linear.weight": np.concatenate([np.zeros((hidden, hidden), np.float32), up]),
        "residual.weight": np.concatenate(
            [np.eye(hidden, dtype=np.float32), np.zeros((inner, hidden), np.float32)]
        ),
    }
    second = {
        "in_features": wide,
        "out_features": dim,
        "bias": False,
        "activation_function": IDENTITY,
        "use_residual": False,
    }
    settings = model.settings
    write_pipeline(
        target,
        model,
        [
            Module(_DENSE, first, branches),
            Module(_DENSE, second, {"linear.weight": np.concatenate([skip, down], axis=1)}),
        ],
        {
            "model_type": "ColBERT",
            "similarity_fn_name": "MaxSim",
            "query_prefix": "",
            "document_prefix": "",
            "query_length": settings.query_max_tokens,
            "document_length": settings.max_tokens,
            "attend_to_expansion_tokens": False,
            "do_query_expansion": False,
            "skiplist_words": list(settings.token_skiplist),
        },
    )


def _check(model: Model) -> None:
    if TOKEN_HEAD[0] not in model.weights:
        raise CheckpointError(
            f"{model.folder}: has no token head; export it to sentence-transformers"
        )
    lacking = []
    if NEAR in model.weights:
        lacking.append("its token head reads the embeddings of neighbouring tokens")
    if QUERY_WEIGHTS in model.weights:
        lacking.append("its query tokens have weights of their own")
    if lacking:
        raise CheckpointError(
            f"{model.folder}: PyLate has no module for it: {', and '.join(lacking)}; export it to "
            "onnx, which has both, or to sentence-transformers for its dense vectors"
        )
