"""Throughput of our encoder from text to vectors, and where a forward pass spends its time."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from gpu_steps import limits
from gpu_steps.models import Texts, mixed_texts, random_encoder, random_ids
from gpu_steps.networks import CONFIGURATIONS, Configuration, configured
from gpu_steps.reporting import Run
from gpu_steps.timing import peak_memory, time_calls
from retrieval.encoders.embedded import embedded_folder
from retrieval.encoders.loading import load_encoder
from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.packing import pack
from retrieval.encoders.runtimes.torch import TorchEncoder, default_dtype


def short(run: Run) -> None:
    """Base, texts of mixed lengths to 512 tokens."""
    _measure_throughput(run, "base", run.sizes.short)


def long(run: Run) -> None:
    """Base, texts of mixed lengths to 8,192 tokens."""
    _measure_throughput(run, "base", run.sizes.long)


def large(run: Run) -> None:
    """Large, texts of mixed lengths to 512 tokens: a quarter as many."""
    count, longest = run.sizes.short
    _measure_throughput(run, "large", (-(-count // 4), longest))


def embedded(run: Run) -> None:
    """The embedded model on the device, beside sentence-transformers with the same weights."""
    count, longest = run.sizes.short
    texts = mixed_texts(count, longest)
    model = load_encoder(embedded_folder(), device=str(run.device))
    assert isinstance(model, TorchEncoder)
    config = model._network.trunk.config
    for configuration in CONFIGURATIONS:
        facts = {"model": "embedded", "by": "ours", **configuration}
        run.row(facts, partial(_throughput, run, model, config, texts, configuration))
    from gpu_steps.peers import measure_sentence_transformers

    measure_sentence_transformers(run, texts)


def _measure_throughput(run: Run, name: str, size: tuple[int, int]) -> None:
    """Rows of one shape in every configuration."""
    config = run.sizes.models[name]
    texts = mixed_texts(*size)
    model = random_encoder(run, config, longest=size[1])
    for configuration in CONFIGURATIONS:
        facts = {"model": name, "by": "ours", "to": size[1], **configuration}
        run.row(facts, partial(_throughput, run, model, config, texts, configuration))


def _throughput(
    run: Run,
    model: TorchEncoder,
    config: ModernBertConfig,
    texts: Texts,
    configuration: Configuration,
) -> dict[str, Any]:
    """Tokens per second of encoding and of the bare forward pass, and peak memory."""
    dtype = default_dtype(run.device)
    with torch.inference_mode(), configured(run, configuration, dtype):
        encode_s = time_calls(run, lambda: model.encode_documents(texts.texts))
        memory = peak_memory(run, lambda: model.encode_documents(texts.texts))
        forward_s = time_calls(run, lambda: _forward(run, model, texts.lengths))
    rate = texts.tokens / encode_s["best_s"]
    row = {"texts": len(texts.texts), "tokens": texts.tokens, **encode_s}
    row |= {"tokens_per_s": round(rate), **limits.of_limit(rate, _max_rate(run, config, texts))}
    forward_rate = texts.tokens / forward_s["best_s"]
    return row | {"network_alone_tokens_per_s": round(forward_rate), **memory}


def _max_rate(run: Run, config: ModernBertConfig, texts: Texts) -> float | None:
    return limits.max_tokens_per_s(run, config, texts.lengths)


@torch.inference_mode()
def _forward(run: Run, model: TorchEncoder, lengths: list[int]) -> None:
    """Run the trunk on batches as the encoder packs them, without tokenising or copying back."""
    for batch in pack(lengths, model._budget):
        batch_lengths = [lengths[i] for i in batch]
        model._network.trunk(
            random_ids(batch_lengths).to(run.device), Layout.of(batch_lengths, run.device)
        )


def profile(run: Run) -> None:
    """The kernels in which a forward pass of base spends most of its time."""
    config = run.sizes.models["base"]
    model = random_encoder(run, config, longest=run.sizes.short[1])
    count, longest = run.sizes.short
    lengths = mixed_texts(max(1, count // 32), longest).lengths
    activities = [torch.profiler.ProfilerActivity.CPU]
    if run.on_gpu:
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    _forward(run, model, lengths)
    with torch.profiler.profile(activities=activities) as profiler:
        _forward(run, model, lengths)
    time_field = "self_device_time_total" if run.on_gpu else "self_cpu_time_total"
    events = sorted(profiler.key_averages(), key=lambda event: -getattr(event, time_field))
    total_us = sum(getattr(event, time_field) for event in events) or 1.0
    for event in events[:15]:
        self_us = getattr(event, time_field)
        facts = {"kernel": event.key[:120], "calls": event.count, "us": round(self_us)}
        run.report(facts | {"share": round(self_us / total_us, 4)})
