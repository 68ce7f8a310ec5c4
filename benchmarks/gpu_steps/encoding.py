"""Tokens a second of our encoder, text in, vectors out; and where a pass spends its time."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from gpu_steps import limits
from gpu_steps.models import Texts, encoder, ids, mixed
from gpu_steps.networks import WAYS, Way, by
from gpu_steps.reporting import Run
from gpu_steps.timing import peak, seconds
from retrieval.encoders.embedded import embedded_folder
from retrieval.encoders.loading import load_encoder
from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.packing import pack
from retrieval.encoders.runtimes.torch import TorchEncoder, default_dtype


def short(run: Run) -> None:
    """Base, texts of mixed lengths to 512 tokens."""
    _speed(run, "base", run.sizes.short)


def long(run: Run) -> None:
    """Base, texts of mixed lengths to 8,192 tokens."""
    _speed(run, "base", run.sizes.long)


def large(run: Run) -> None:
    """Large, texts of mixed lengths to 512 tokens: a quarter as many."""
    count, longest = run.sizes.short
    _speed(run, "large", (-(-count // 4), longest))


def embedded(run: Run) -> None:
    """The embedded model itself on the device, next to sentence-transformers with its weights."""
    count, longest = run.sizes.short
    texts = mixed(count, longest)
    model = load_encoder(embedded_folder(), device=str(run.device))
    assert isinstance(model, TorchEncoder)
    config = model._network.trunk.config
    for way in WAYS:
        facts = {"model": "embedded", "by": "ours", **way}
        run.row(facts, partial(_encoded, run, model, config, texts, way))
    from gpu_steps.peers import sentence_transformers

    sentence_transformers(run, texts)


def _speed(run: Run, name: str, size: tuple[int, int]) -> None:
    config = run.sizes.models[name]
    texts = mixed(*size)
    model = encoder(run, config, longest=size[1])
    for way in WAYS:
        facts = {"model": name, "by": "ours", "to": size[1], **way}
        run.row(facts, partial(_encoded, run, model, config, texts, way))


def _encoded(
    run: Run, model: TorchEncoder, config: ModernBertConfig, texts: Texts, way: Way
) -> dict[str, Any]:
    dtype = default_dtype(run.device)
    with torch.inference_mode(), by(run, way, dtype):
        taken = seconds(run, lambda: model.encode_documents(texts.texts))
        memory = peak(run, lambda: model.encode_documents(texts.texts))
        alone = seconds(run, lambda: _forward(run, model, texts.lengths))
    rate = texts.tokens / taken["best_s"]
    found = {"texts": len(texts.texts), "tokens": texts.tokens, **taken}
    found |= {"tokens_per_s": round(rate), **limits.share(rate, _limit(run, config, texts))}
    forward = texts.tokens / alone["best_s"]
    return found | {"network_alone_tokens_per_s": round(forward), **memory}


def _limit(run: Run, config: ModernBertConfig, texts: Texts) -> float | None:
    return limits.encoding(run, config, texts.lengths)


@torch.inference_mode()
def _forward(run: Run, model: TorchEncoder, lengths: list[int]) -> None:
    """The trunk on batches as the encoder packs them, with no text and no vectors taken back."""
    for batch in pack(lengths, model._budget):
        own = [lengths[i] for i in batch]
        model._network.trunk(ids(own).to(run.device), Layout.of(own, run.device))


def profile(run: Run) -> None:
    """The kernels on which a pass of base spends most of its time."""
    config = run.sizes.models["base"]
    model = encoder(run, config, longest=run.sizes.short[1])
    count, longest = run.sizes.short
    lengths = mixed(max(1, count // 32), longest).lengths
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if run.on_gpu:
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    _forward(run, model, lengths)
    with torch.profiler.profile(activities=kinds) as found:
        _forward(run, model, lengths)
    key = "self_device_time_total" if run.on_gpu else "self_cpu_time_total"
    events = sorted(found.key_averages(), key=lambda event: -getattr(event, key))
    total = sum(getattr(event, key) for event in events) or 1.0
    for event in events[:15]:
        own = getattr(event, key)
        facts = {"kernel": event.key[:120], "calls": event.count, "us": round(own)}
        run.tell(facts | {"share": round(own / total, 4)})
