"""Peak memory of one batch of equally long texts, ours and the peers'."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from gpu_steps.models import encoder, ids
from gpu_steps.networks import WAYS, Way, by
from gpu_steps.peers import Model, deberta, modernbert
from gpu_steps.reporting import Run
from gpu_steps.timing import peak
from retrieval.encoders.model.attention import Layout
from retrieval.encoders.runtimes.torch import default_dtype


def peak_of_ours(run: Run, model: Any, way: Way, texts: int, length: int) -> dict[str, Any]:
    """Of the trunk on that many texts of one length, nothing padded."""
    lengths = [length] * texts
    given = ids(lengths).to(run.device)
    layout = Layout.of(lengths, run.device)

    def work() -> object:
        return model._network.trunk(given, layout)

    with torch.inference_mode(), by(run, way, default_dtype(run.device)):
        work()
        return peak(run, work)


def peak_of_a_peer(run: Run, make: Callable[[], Model], texts: int, length: int) -> dict[str, Any]:
    """Of a padded model on the same, where nothing needs padding."""
    model = make()
    given = ids([length] * texts).to(run.device).reshape(texts, length)
    mask = torch.ones_like(given)

    @torch.inference_mode()
    def work() -> object:
        return model(input_ids=given, attention_mask=mask)

    work()
    return peak(run, work)


def measured(run: Run) -> None:
    """At 512 tokens and at the longest, of base and DeBERTa."""
    config = run.sizes.models["base"]
    for texts, length in ((64, run.sizes.short[1]), (8, run.sizes.long[1])):
        texts = 2 if run.dry else texts
        size = {"texts": texts, "length": length}
        ours = encoder(run, config, longest=length)
        for way in WAYS:
            run.row(
                {"by": "ours", **way, **size},
                partial(peak_of_ours, run, ours, way, texts, length),
            )
        run.row(
            {"by": "transformers sdpa", **size},
            partial(peak_of_a_peer, run, partial(modernbert, run, config, "sdpa"), texts, length),
        )
        run.row(
            {"by": "DeBERTa-v3-base", **size},
            partial(peak_of_a_peer, run, partial(deberta, run, length), texts, length),
        )
