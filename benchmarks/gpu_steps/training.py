"""Training: steps of base by each back end of attention, and the embedded model's recipe."""

from __future__ import annotations

import copy
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gpu_steps.models import ROOT, mixed_texts, random_ids, random_trunk
from gpu_steps.networks import configured
from gpu_steps.reporting import Run, Skip
from gpu_steps.timing import peak_memory, time_calls
from retrieval.encoders.embedded import embedded_folder
from retrieval.encoders.model.attention import BACK_ENDS, Layout
from retrieval.encoders.model_folder import TOKENIZER_FILE


def base(run: Run) -> None:
    """Forward and backward of base on mixed lengths, in bfloat16 autocast, with AdamW."""
    student_config = run.sizes.models["base"]
    longest = run.sizes.short[1]
    lengths = mixed_texts(max(2, 2 * run.sizes.train_tokens // longest), longest).lengths
    for name in BACK_ENDS:
        facts = {"model": "base", "attention": name, "tokens": sum(lengths)}
        run.row(facts, partial(_step_time, run, student_config, lengths, name))


def _step_time(run: Run, student_config: Any, lengths: list[int], back_end: str) -> dict[str, Any]:
    """Seconds of a training step, and its peak memory."""
    with configured(run, {"attention": back_end, "fused": False}, torch.bfloat16, gradient=True):
        model = copy.deepcopy(random_trunk(student_config)).to(run.device).requires_grad_(True)
        optimiser = torch.optim.AdamW(model.parameters(), 1e-4, fused=run.on_gpu)
        token_ids, layout = random_ids(lengths).to(run.device), Layout.of(lengths, run.device)

        def train_step() -> None:
            with torch.autocast(run.device.type, torch.bfloat16):
                loss = model(token_ids, layout).float().square().mean()
            torch.autograd.backward(loss)
            optimiser.step()
            optimiser.zero_grad()

        timing = time_calls(run, train_step)
        return (
            timing
            | {"tokens_per_s": round(sum(lengths) / timing["best_s"])}
            | peak_memory(run, train_step)
        )


def recipe(run: Run) -> None:
    """Distillation of the embedded model's shape, on the device and on two threads of the CPU.

    The teacher has the shape of all-MiniLM-L6-v2 and random weights; the text is the documentation.
    """
    devices = [("cpu, 2 threads", torch.device("cpu"))]
    if run.on_gpu:
        devices.insert(0, ("gpu", run.device))
    # The batch that the embedded model was trained with, and one that uses a GPU better.
    for batch in (4096, run.sizes.train_tokens):
        for name, device in devices:
            if name != "gpu" and batch != 4096:
                continue
            facts = {"by": name, "batch_tokens": batch}
            run.row(facts, partial(_distillation_row, run, device, batch))


def _distillation_row(run: Run, device: torch.device, batch: int) -> dict[str, Any]:
    """The rate of distillation on a device, with two threads where that is the CPU."""
    threads = torch.get_num_threads()
    if device.type == "cpu" and not run.dry:
        torch.set_num_threads(2)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _distillation_rate(run, device, 256 if run.dry else batch, Path(folder))
    finally:
        torch.set_num_threads(threads)


def _distillation_rate(run: Run, device: torch.device, batch: int, folder: Path) -> dict[str, Any]:
    """Tokens per second of distilling into a student, after a warmup step."""
    try:
        from transformers import BertConfig, BertModel
    except ImportError:
        raise Skip("the teacher needs transformers, which is not installed") from None
    from lab.distillation.distill import distill, tokens_seen
    from lab.distillation.distill_config import DistillConfig
    from lab.distillation.teacher import Teacher
    from lab.recipes.embedded_model import new_student, student_config
    from lab.running.distributed import Ranks
    from lab.text.corpus import tokenise
    from retrieval.encoders.tokenization import load_tokenizer
    from retrieval.train.pairs import Record

    layers, hidden = (2, 128) if run.dry else (6, 384)
    teacher_config = BertConfig(
        vocab_size=30_522,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2 if run.dry else 12,
        intermediate_size=4 * hidden,
    )
    BertModel(teacher_config).save_pretrained(folder / "teacher")
    shutil.copy(embedded_folder() / TOKENIZER_FILE, folder / "teacher")
    tokenizer = load_tokenizer(folder / "teacher" / TOKENIZER_FILE)
    teacher = Teacher(folder / "teacher", device)
    pages = sorted((ROOT / "docs").rglob("*.md"))[: 4 if run.dry else None]
    records = [Record(page.read_text(encoding="utf-8"), page.stem, page.stem) for page in pages]
    corpus = tokenise(records, tokenizer)
    student = new_student(teacher, student_config(tokenizer, layers=layers, hidden=hidden)).to(
        device
    )
    settings = DistillConfig(tokens=1 << 40, batch_tokens=batch, pairs_from=0.0)
    out = folder / "run"

    def train(time_calls: float) -> tuple[float, int]:
        """Seconds of training, checkpoint included, and the tokens seen by all runs so far."""
        started = time.monotonic()
        ranks = Ranks(device=device)
        distill(student, teacher, corpus, settings, out, ranks=ranks, deadline=started + time_calls)
        return time.monotonic() - started, tokens_seen(out)

    _, warmup_tokens = train(0.0)  # warmup: one step, in which kernels are chosen
    elapsed, tokens = train(run.sizes.train_seconds)
    return {
        "seconds": round(elapsed, 2),
        "tokens": tokens - warmup_tokens,
        "tokens_per_s": round((tokens - warmup_tokens) / elapsed),
    }
