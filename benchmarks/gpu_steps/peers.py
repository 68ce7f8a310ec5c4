"""What else encodes the same texts: transformers, sentence-transformers, DeBERTa-v3-base.

Their weights are random too, ours where the network is the same; their texts are sorted by length,
since sentence-transformers does so, and padded to the longest of a batch.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gpu_steps.models import Texts, mixed, tokenizer, trunk
from gpu_steps.reporting import Run, Skip
from gpu_steps.timing import peak, seconds
from retrieval.encoders.embedded import embedded_folder
from retrieval.encoders.export.formats import export_model
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.runtimes.torch import default_dtype

Model = Callable[..., Any]


def short(run: Run) -> None:
    """Base and DeBERTa, texts of mixed lengths to 512 tokens, of half as many texts."""
    count, longest = run.sizes.short
    _all(run, (-(-count // 2), longest), run.sizes.batches[0])


def long(run: Run) -> None:
    """The same to 8,192 tokens, of fewer texts."""
    count, longest = run.sizes.long
    _all(run, (-(-count // 4), longest), run.sizes.batches[1])


def _all(run: Run, size: tuple[int, int], batches: tuple[int, ...]) -> None:
    texts = mixed(*size)
    config = run.sizes.models["base"]
    kinds = {
        "transformers sdpa": lambda: modernbert(run, config, "sdpa"),
        "transformers flash_attention_2": lambda: modernbert(run, config, "flash_attention_2"),
        "DeBERTa-v3-base": lambda: deberta(run, size[1]),
    }
    for name, make in kinds.items():
        model: Model | None = None
        for batch in batches:
            facts = {"model": "base", "by": name, "to": size[1], "batch": batch}

            def measured(batch: int = batch, make: Callable[[], Model] = make) -> dict[str, Any]:
                nonlocal model
                model = model or make()
                return _padded(run, model, texts, batch)

            if not run.row(facts, measured):
                break
            if model is None:  # left out
                break


def _padded(run: Run, model: Model, texts: Texts, batch: int) -> dict[str, Any]:
    taken = seconds(run, lambda: encode(run, model, texts.texts, batch))
    memory = peak(run, lambda: encode(run, model, texts.texts, batch))
    rate = texts.tokens / taken["best_s"]
    return {"texts": len(texts.texts), "tokens": texts.tokens, **taken} | {
        "tokens_per_s": round(rate),
        **memory,
    }


@torch.inference_mode()
def encode(run: Run, model: Model, texts: list[str], batch: int) -> torch.Tensor:
    """Mean-pooled vectors f32 [n, H] on the CPU, in the order of sorting."""
    ordered = sorted(texts, key=len, reverse=True)
    made = []
    for ids, mask in padded(ordered, batch):
        given, seen = (x.to(run.device, non_blocking=True) for x in (ids, mask))
        hidden = model(input_ids=given, attention_mask=seen).last_hidden_state.float()
        weights = seen[:, :, None].float()
        made.append((hidden * weights).sum(1) / weights.sum(1))
    return torch.cat(made).cpu()


def padded(texts: list[str], batch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Ids and mask, i64 [n, L], of each batch."""
    for first in range(0, len(texts), batch):
        own = [one.ids for one in tokenizer().encode_batch_fast(texts[first : first + batch])]
        width = max(map(len, own))
        ids = torch.zeros(len(own), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, one in enumerate(own):
            ids[row, : len(one)] = torch.tensor(one)
            mask[row, : len(one)] = 1
        yield ids, mask


def modernbert(run: Run, config: ModernBertConfig, implementation: str) -> Model:
    """transformers' own ModernBERT with our weights, on the run's device."""
    _needs("transformers")
    if implementation == "flash_attention_2":
        _needs("flash_attn")
    from transformers import ModernBertConfig as Theirs
    from transformers import ModernBertModel

    raw = config.to_dict() | {"cls_token_id": 101, "sep_token_id": 102}
    shape = Theirs(**raw, bos_token_id=101, eos_token_id=102, attn_implementation=implementation)
    with torch.device(run.device):
        model = ModernBertModel(shape)
    model.load_state_dict(trunk(config).state_dict())
    return model.to(default_dtype(run.device)).eval()


def deberta(run: Run, longest: int) -> Model:
    """DeBERTa-v3-base's shape with random weights, on the run's device."""
    _needs("transformers")
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


def sentence_transformers(run: Run, texts: Texts) -> None:
    """The embedded model as sentence-transformers loads it, in bfloat16 on a GPU."""
    for batch in run.sizes.batches[0]:
        facts = {"model": "embedded", "by": "sentence-transformers", "batch": batch}
        run.row(facts, partial(_by_sentence_transformers, run, texts, batch))


def _by_sentence_transformers(run: Run, texts: Texts, batch: int) -> dict[str, Any]:
    _needs("sentence_transformers")
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

    def work() -> object:
        return model.encode(texts.texts, batch_size=batch, show_progress_bar=False)

    taken = seconds(run, work)
    rate = texts.tokens / taken["best_s"]
    return {"tokens": texts.tokens, **taken, "tokens_per_s": round(rate), **peak(run, work)}


def _needs(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise Skip(f"{package} is not installed")
