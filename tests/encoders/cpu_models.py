"""Small model folders for the CPU runtime, and what transformers makes of the same weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from retrieval.encoders.export.onnx_graph import export
from retrieval.encoders.model.token_head_shape import TokenHeadShape
from retrieval.encoders.model_folder import DENSE_HEAD, NEAR

from .random_models import modernbert, modernbert_config, wordpiece

DENSE_DIM = 24
TOKENS = TokenHeadShape(dim=16, inner=40, near=8, reach=2)
PLAIN_TOKENS = TokenHeadShape(dim=16, inner=40)

State = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Reference:
    """transformers' ModernBertModel with our heads on it, in f32."""

    trunk: torch.nn.Module
    state: State

    @torch.no_grad()
    def __call__(self, ids: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        hidden = self.trunk(input_ids=torch.from_numpy(ids)[None]).last_hidden_state[0]
        head = {name: torch.from_numpy(self.state[name]) for name in self.state if "head" in name}
        dense = F.normalize(hidden.mean(0, keepdim=True) @ head["dense_head.weight"].T, dim=-1)
        if NEAR in head:
            near = self.trunk.embeddings(torch.from_numpy(ids)[None])[0] @ head[NEAR].T
            nothing = torch.zeros(near.shape[1])
            beside = [
                torch.cat(
                    [
                        near[at + step] if 0 <= at + step < len(ids) else nothing
                        for step in range(-TOKENS.reach, TOKENS.reach + 1)
                    ]
                )
                for at in range(len(ids))
            ]
            hidden = torch.cat([hidden, torch.stack(beside)], 1)
        up = F.gelu(hidden @ head["token_head.up.weight"].T)
        skip = hidden @ head["token_head.skip.weight"].T
        tokens = F.normalize(skip + up @ head["token_head.down.weight"].T, dim=-1)
        return {"dense": dense.numpy(), "tokens": tokens.numpy()}


def random_state(trunk: torch.nn.Module, seed: int = 0, tokens: TokenHeadShape = TOKENS) -> State:
    """The trunk's weights and random heads."""
    state = {name: tensor.numpy() for name, tensor in trunk.state_dict().items()}
    hidden = state["final_norm.weight"].shape[0]
    rng = np.random.default_rng(seed)
    for name, shape in {DENSE_HEAD: (DENSE_DIM, hidden), **tokens.sizes(hidden)}.items():
        state[name] = (rng.standard_normal(shape) / shape[1] ** 0.5).astype(np.float32)
    return state


def save(
    folder: Path,
    *,
    quantize: bool = True,
    settings: dict | None = None,
    tokens: TokenHeadShape = TOKENS,
    **changes,
):
    """Export a random model; returns what it should compute."""
    trunk = modernbert(**changes)
    trunk.set_attn_implementation("eager")
    state = random_state(trunk, tokens=tokens)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = folder.parent / f"{folder.name}-tokenizer.json"
    wordpiece().backend_tokenizer.save(str(tokenizer))
    export(
        folder,
        config=modernbert_config(**changes).to_dict(),
        state=state,
        tokenizer_json=tokenizer,
        retrieval_config={"max_tokens": 256, "query_max_tokens": 32, **(settings or {})},
        quantize=quantize,
    )
    return Reference(trunk, state)
