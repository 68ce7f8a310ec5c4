"""Train a model further towards the joint geometry of several encoders.

    python -m lab.recipes.joint_teachers --start FOLDER --text 'text/*.jsonl' --out runs/joint \\
        --teacher MINILM 1 --teacher BGE 1 --export models/next

A teacher is any encoder of this package or of sentence-transformers, or a folder with the ONNX
graph of a BERT that is pooled by [CLS]; the first has as many dimensions as the model has, and its
space. Teachers read each window of a text once; what they made lies in the output folder, and a run
that is killed goes on when it is started again with the same arguments.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from lab.distillation.joint import JointConfig, learn_jointly
from lab.distillation.joint_text import JointText, load_joint, read_jointly, save_joint
from lab.distillation.onnx_teacher import OnnxTeacher
from lab.recipes.command import exit_code, logged
from lab.recipes.embedded_model import cached_corpus
from lab.running.averaging import average
from lab.running.checkpoint import arrays_digest
from lab.text.corpus import TokenCorpus
from retrieval.encoders import load_encoder
from retrieval.encoders.model_folder import SECTION, TOKENIZER_FILE, read_config
from retrieval.encoders.runtimes.torch import choose_device
from retrieval.encoders.tokenization import load_tokenizer
from retrieval.errors import InputError
from retrieval.train.student import Student, export_like
from retrieval.train.teacher_cache import TeacherCache
from retrieval.types import Encoder, ProgressUpdate

DENSE_WINDOW = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", type=Path, required=True, help="the model folder to go on from")
    parser.add_argument("--text", action="append", required=True, help="a glob; may be repeated")
    parser.add_argument(
        "--teacher",
        nargs=2,
        action="append",
        required=True,
        metavar=("MODEL", "WEIGHT"),
        help="may be repeated; the first has the model's width",
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--export", type=Path, help="write the model folder here")
    parser.add_argument(
        "--average", type=float, default=1.0, help="at the end: this share of the new weights"
    )
    defaults = JointConfig()
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--pairs", type=int, default=defaults.pairs, help="of a step")
    parser.add_argument("--alone", type=int, default=10_000, help="texts without a query, at most")
    parser.add_argument("--muon", type=float, default=defaults.muon, help="its peak rate")
    parser.add_argument("--adam", type=float, default=defaults.adam, help="its peak rate")
    parser.add_argument("--minutes", type=float, help="stop with a checkpoint after this long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cpu or cuda; CUDA where there is one")
    given = parser.parse_args(arguments)
    return exit_code(lambda: train(given))


def train(given: argparse.Namespace) -> None:
    """Have the teachers read what they have not read yet, train, write the model."""
    if given.steps < 1 or given.pairs < 2:
        raise InputError(f"--steps {given.steps} --pairs {given.pairs}, expected 1 and 2 or more")
    given.out.mkdir(parents=True, exist_ok=True)
    device = choose_device(given.device)
    student = Student.from_folder(given.start)
    tokenizer = load_tokenizer(given.start / TOKENIZER_FILE)
    corpus = cached_corpus(given.out / "corpus.npz", given.text, tokenizer)
    window = read_config(given.start)[SECTION].get("dense_window") or DENSE_WINDOW
    text = joint_text(given, corpus, window, device)
    config = replace(
        JointConfig(),
        steps=given.steps,
        pairs=given.pairs,
        muon=given.muon,
        adam=given.adam,
        window=window,
        seed=given.seed,
    )
    deadline = time.monotonic() + given.minutes * 60 if given.minutes else None
    with logged(given.out / "log.jsonl") as log:
        learn_jointly(
            student.to(device), corpus, text, config, given.out, log=log, deadline=deadline
        )
    if given.export:
        average(student, Student.from_folder(given.start), given.average)
        export_like(given.export, student, given.start)


def joint_text(
    given: argparse.Namespace, corpus: TokenCorpus, window: int, device: torch.device
) -> JointText:
    """What the teachers made of the corpus; read once, and then from the output folder."""
    path = given.out / "joint.npz"
    made_of = {
        "teacher": [[str(Path(model)), weight_of(weight)] for model, weight in given.teacher],
        "corpus": arrays_digest(corpus.ids, corpus.offsets, corpus.pairs),
        "window": window,
        "alone": given.alone,
        "seed": given.seed,
    }
    if not path.exists():
        teachers = [
            (TeacherCache(teacher(model, device), given.out / "vectors"), weight_of(weight))
            for model, weight in given.teacher
        ]
        text = read_jointly(
            corpus,
            load_tokenizer(given.start / TOKENIZER_FILE),
            teachers,
            window=window,
            alone=given.alone,
            device=device,
            seed=given.seed,
            progress=tell,
        )
        save_joint(path, text, made_of)
    text = load_joint(path, made_of)
    pairs = int((text.queries >= 0).sum())
    print(f"{pairs:,} of {len(corpus.pairs):,} queries are found again by the teachers")
    return text


def teacher(model: str, device: torch.device) -> Encoder:
    """The teacher of a folder or Hub id."""
    folder = Path(model)
    if (folder / "model.onnx").exists() and not (folder / "model.safetensors").exists():
        return OnnxTeacher(folder)
    return load_encoder(model, device=str(device))


def weight_of(given: str) -> float:
    """A number above 0."""
    try:
        weight = float(given)
    except ValueError:
        weight = 0.0
    if not 0 < weight < float("inf"):
        raise InputError(f"--teacher ... {given}, expected a weight above 0")
    return weight


def tell(now: ProgressUpdate) -> None:
    """A line for a block of texts."""
    print(f"{now.stage}: {now.done:,} of {now.total or 0:,} {now.unit}", flush=True)


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(main())
