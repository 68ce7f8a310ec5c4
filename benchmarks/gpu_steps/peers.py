"""Peers that encode the same texts: transformers, sentence-transformers, DeBERTa-v3-base.

Their weights are random too, ours where the network is the same. Texts are sorted by length, as
sentence-transformers does it, and padded to the longest of a batch.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gpu_steps.models import Texts, embedded_tokenizer, mixed_texts, random_trunk
from gpu_steps.reporting import Run, Skip
from gpu_steps.timing import peak_memory, time_calls
from retrieval.encoders.embedded import embedded_folder
from retrieval.encoders.export.formats import export_model
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.runtimes.torch import default_dtype

Model = Callable[..., Any]


def short(run: Run) -> None:
    """Base and DeBERTa, texts of mixed lengths to 512 tokens, half as many as ours."""
    count, longest = run.sizes.short
    _measure_peers(run, (-(-count // 2), longest), run.sizes.batches[0])


def long(run: Run) -> None:
    """The same to 8,192 tokens, a quarter as many as ours."""
    count, longest = run.sizes.long
    _measure_peers(run, (-(-count // 4), longest), run.sizes.batches[1])


def _measure_peers(run: Run, size: tuple[int, int], batches: tuple[int, ...]) -> None:
    """Rows of each peer by batch size, until one does not fit or the peer is missing."""
    texts = mixed_texts(*size)
    config = run.sizes.models["base"]
    loaders = {
        "transformers sdpa": lambda: load_modernbert(run, config, "sdpa"),
        "transformers flash_attention_2": lambda: load_modernbert(run, config, "flash_attention_2"),
        "DeBERTa-v3-base": lambda: load_deberta(run, size[1]),
    }
    for name, load in loaders.items():
        model: Model | None = None
        for batch in batches:
            facts = {"model": "base", "by": name, "to": size[1], "batch": batch}

            def throughput(batch: int = batch, load: Callable[[], Model] = load) -> dict[str, Any]:
                nonlocal model
                model = model or load()
                return _throughput(run, model, texts, batch)

            if not run.row(facts, throughput):
                break
            if model is None:  # skipped: the peer is missing
                break


def _throughput(run: Run, model: Model, texts: Texts, batch: int) -> dict[str, Any]:
    """Tokens per second and peak memory of a padded model."""
    timing = time_calls(run, lambda: encode_padded(run, model, texts.texts, batch))
    memory = peak_memory(run, lambda: encode_padded(run, model, texts.texts, batch))
    rate = texts.tokens / timing["best_s"]
    return {"texts": len(texts.texts), "tokens": texts.tokens, **timing} | {
        "tokens_per_s": round(rate),
        **memory,
    }


@torch.inference_mode()
def encode_padded(run: Run, model: Model, texts: list[str], batch: int) -> torch.Tensor:
    """Mean-pooled vectors, f32 [n, H] on the CPU, in the order of sorted texts."""
    ordered = sorted(texts, key=len, reverse=True)
    vectors = []
    for ids, mask in padded_batches(ordered, batch):
        device_ids, device_mask = (x.to(run.device, non_blocking=True) for x in (ids, mask))
        hidden = model(input_ids=device_ids, attention_mask=device_mask).last_hidden_state.float()
        weights = device_mask[:, :, None].float()
        vectors.append((hidden * weights).sum(1) / weights.sum(1))
    return torch.cat(vectors).cpu()


def padded_batches(texts: list[str], batch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Token ids and mask of each batch, i64 [n, L]."""
    for first in range(0, len(texts), batch):
        encoded = [
            sequence.ids
            for sequence in embedded_tokenizer().encode_batch_fast(texts[first : first + batch])
        ]
        width = max(map(len, encoded))
        ids = torch.zeros(len(encoded), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, sequence in enumerate(encoded):
            ids[row, : len(sequence)] = torch.tensor(sequence)
            mask[row, : len(sequence)] = 1
        yield ids, mask


def load_modernbert(run: Run, config: ModernBertConfig, implementation: str) -> Model:
    """ModernBERT of transformers with our weights, on the run's device."""
    _require("transformers")
    if implementation == "flash_attention_2":
        _require("flash_attn")
    from transformers import ModernBertConfig as HfConfig
    from transformers import ModernBertModel

    values = config.to_dict() | {"cls_token_id": 101, "sep_token_id": 102}
    shape = HfConfig(
        **values, bos_token_id=101, eos_token_id=102, attn_implementation=implementation
    )
    with torch.device(run.device):
        model = ModernBertModel(shape)
    model.load_state_dict(random_trunk(config).state_dict())
    return model.to(default_dtype(run.device)).eval()


def load_deberta(run: Run, longest: int) -> Model:
    """A model of DeBERTa-v3-base's shape with random weights, on the run's device."""
    _require("transformers")
    from transformers import DebertaV2Config, DebertaV2Model

    small = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    shape = DebertaV2Config(
        **({"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}),
        vocab_size=128_100,
        intermediate_size=3072,
        max_position_embeddings=max(512, longest),
        relative_attention=True,
        position_buckets=256,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        type_vocab_size=0,
        layer_norm_eps=1e-7,
    )
    if run.dry:
        for name, value in (small | {"intermediate_size": 96, "vocab_size": 30_522}).items():
            setattr(shape, name, value)
    with torch.device(run.device):
        model = DebertaV2Model(shape)
    return model.to(default_dtype(run.device)).eval()


def measure_sentence_transformers(run: Run, texts: Texts) -> None:
    """The embedded model as sentence-transformers loads it, in bfloat16 on a GPU."""
    for batch in run.sizes.batches[0]:
        facts = {"model": "embedded", "by": "sentence-transformers", "batch": batch}
        run.row(facts, partial(_sentence_transformers_throughput, run, texts, batch))


def _sentence_transformers_throughput(run: Run, texts: Texts, batch: int) -> dict[str, Any]:
    _require("sentence_transformers")
    from sentence_transformers import SentenceTransformer

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model"
        export_model(embedded_folder(), target, format="sentence-transformers")
        model = SentenceTransformer(
            str(target),
            device=str(run.device),
            local_files_only=True,
            model_kwargs={"dtype": default_dtype(run.device)},
        )

    def encode() -> object:
        return model.encode(texts.texts, batch_size=batch, show_progress_bar=False)

    timing = time_calls(run, encode)
    rate = texts.tokens / timing["best_s"]
    return {
        "tokens": texts.tokens,
        **timing,
        "tokens_per_s": round(rate),
        **peak_memory(run, encode),
    }


def _require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise Skip(f"{package} is not installed")
