"""Peak memory of one batch of equally long texts, of our trunk and of the peers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from gpu_steps.models import random_encoder, random_ids
from gpu_steps.networks import CONFIGURATIONS, Configuration, configured
from gpu_steps.peers import Model, load_deberta, load_modernbert
from gpu_steps.reporting import Run
from gpu_steps.timing import peak_memory
from retrieval.encoders.model.attention import Layout
from retrieval.encoders.runtimes.torch import default_dtype


def trunk_peak(
    run: Run, model: Any, configuration: Configuration, texts: int, length: int
) -> dict[str, Any]:
    """Of our trunk on so many texts of one length, without padding."""
    lengths = [length] * texts
    ids = random_ids(lengths).to(run.device)
    layout = Layout.of(lengths, run.device)

    def forward() -> object:
        return model._network.trunk(ids, layout)

    with torch.inference_mode(), configured(run, configuration, default_dtype(run.device)):
        forward()
        return peak_memory(run, forward)


def peer_peak(run: Run, load: Callable[[], Model], texts: int, length: int) -> dict[str, Any]:
    """Of a padded model on the same batch, where nothing needs padding."""
    model = load()
    ids = random_ids([length] * texts).to(run.device).reshape(texts, length)
    mask = torch.ones_like(ids)

    @torch.inference_mode()
    def forward() -> object:
        return model(input_ids=ids, attention_mask=mask)

    forward()
    return peak_memory(run, forward)


def measure(run: Run) -> None:
    """At 512 tokens and at the longest, of base and of DeBERTa."""
    config = run.sizes.models["base"]
    for texts, length in ((64, run.sizes.short[1]), (8, run.sizes.long[1])):
        texts = 2 if run.dry else texts
        size = {"texts": texts, "length": length}
        ours = random_encoder(run, config, longest=length)
        for configuration in CONFIGURATIONS:
            run.row(
                {"by": "ours", **configuration, **size},
                partial(trunk_peak, run, ours, configuration, texts, length),
            )
        run.row(
            {"by": "transformers sdpa", **size},
            partial(peer_peak, run, partial(load_modernbert, run, config, "sdpa"), texts, length),
        )
        run.row(
            {"by": "DeBERTa-v3-base", **size},
            partial(peer_peak, run, partial(load_deberta, run, length), texts, length),
        )
