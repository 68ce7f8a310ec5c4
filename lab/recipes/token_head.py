"""Train a model's token head further, on a trunk that stays as it is: which text says it?

    python -m lab.recipes.token_head --start FOLDER --corpus runs/embedded/corpus.npz \\
        --out runs/head --export models/next

The corpus is the one that `embedded_model.py` keeps in its output folder. Texts are encoded once
and kept in the output folder, 0.8 KB a token; a run that is killed goes on when it is started again
with the same arguments. Dense vectors stay what they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lab.distillation.hidden_states import Trunk
from lab.distillation.needles import Words
from lab.distillation.statements import FAMILY, Placing, Writer
from lab.distillation.token_head import HeadConfig, fit_token_head
from lab.distillation.token_head_reading import Asked, Paired, widen
from lab.recipes.command import exit_code, logged
from lab.text.corpus import TokenCorpus
from retrieval.encoders.model_folder import TOKENIZER_FILE
from retrieval.encoders.tokenization import load_tokenizer
from retrieval.errors import CheckpointError, InputError
from retrieval.train.student import Student, export_like
from retrieval.types import ProgressCallback, ProgressUpdate

PLACINGS = (
    (Placing(8192, 610, 20), 0.46),
    (Placing(4096, 200, 8), 0.09),
    (Placing(2048, 800, 5), 0.17),
    (Placing(512, 2200, 2, edge=0.2), 0.12),
    (Placing(256, 9000, 2, edge=0.3), 0.16),
)
"""Texts with statements in them, and the share of steps that is on each kind."""

NEIGHBOURS = 64
"""Pairs that are taken from one place of the corpus."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", type=Path, required=True, help="the model folder to go on from")
    parser.add_argument("--corpus", type=Path, required=True, help="token ids, `corpus.npz`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--export", type=Path, help="write the model folder here")
    parser.add_argument("--steps", type=int, default=HeadConfig().steps)
    parser.add_argument("--inner", type=int, default=768, help="width inside the token head")
    parser.add_argument(
        "--near", type=int, default=64, help="numbers to read of each neighbour's embedding"
    )
    parser.add_argument("--reach", type=int, default=3, help="neighbours to each side")
    parser.add_argument("--pairs", type=int, default=16_384, help="of queries and texts, at most")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="so many times the texts with statements"
    )
    given = parser.parse_args(arguments)
    return exit_code(lambda: train(given))


def train(given: argparse.Namespace) -> None:
    """Encode what is not encoded yet, train, write the model."""
    if given.steps < 1 or not 0 < given.scale < float("inf"):
        raise InputError(f"--steps {given.steps} --scale {given.scale}, expected numbers above 0")
    student = Student.from_folder(given.start)
    if student.query_token_weights is None:
        raise CheckpointError(f"{given.start} has no weights of query tokens, which are trained")
    given.out.mkdir(parents=True, exist_ok=True)
    widen(student, given.inner, near=given.near, reach=given.reach)
    config = HeadConfig(steps=given.steps, pairs=NEIGHBOURS)
    tokenizer = load_tokenizer(given.start / TOKENIZER_FILE)
    corpus = read_corpus(given.corpus, tokenizer)
    have = min(given.pairs, len(corpus.pairs))
    if have < NEIGHBOURS:
        raise InputError(
            f"--pairs {given.pairs} of the {len(corpus.pairs)} pairs of {given.corpus}, expected "
            f"at least {NEIGHBOURS}: make the corpus of records with a `query`"
        )
    trunk = Trunk(student, given.start / TOKENIZER_FILE)
    try:
        asked, paired = encoded(given, student, trunk, corpus, tokenizer)
    finally:
        trunk.close()
    with logged(given.out / "log.jsonl") as log:
        fit_token_head(student, asked, paired, config, given.out, log=log)
    if given.export:
        export_like(given.export, student, given.start)


def read_corpus(path: Path, tokenizer: Tokenizer) -> TokenCorpus:
    """Token ids of the model's own tokenizer.

    Raises:
        CheckpointError: the file is damaged, or of another tokenizer.
    """
    expected = "expected the corpus.npz that embedded_model.py leaves with the model's tokenizer"
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            corpus = TokenCorpus(**arrays)
    except OSError as wrong:
        raise CheckpointError(
            f"{path} cannot be read ({wrong.strerror or wrong}), {expected}"
        ) from None
    except (ValueError, TypeError, EOFError, BadZipFile):
        raise CheckpointError(f"{path} is damaged or no corpus of token ids, {expected}") from None
    marks = {tokenizer.token_to_id("[CLS]")}, {tokenizer.token_to_id("[SEP]")}
    ends = set(corpus.ids[corpus.offsets[:-1]]), set(corpus.ids[corpus.offsets[1:] - 1])
    largest = int(corpus.ids.max(initial=0))
    if ends != marks or largest >= tokenizer.get_vocab_size():
        raise CheckpointError(f"{path} has ids of another tokenizer, {expected}")
    return corpus


def encoded(
    given: argparse.Namespace,
    student: Student,
    trunk: Trunk,
    corpus: TokenCorpus,
    tokenizer: Tokenizer,
) -> tuple[list[Asked], Paired]:
    """Hidden vectors of texts with statements and of pairs."""
    table = student.trunk.embeddings.tok_embeddings.weight.detach().numpy()
    first, last, stop = (tokenizer.token_to_id(mark) for mark in ("[CLS]", "[SEP]", "."))
    if first is None or last is None or stop is None:
        raise CheckpointError(f"{given.start}: its tokenizer lacks [CLS], [SEP] or a full stop")
    writer = Writer(corpus, Words.of(tokenizer, corpus, table), (first, last, stop), seed=0)
    asked: list[Asked] = []
    for rule, share in PLACINGS:
        texts = max(FAMILY, round(rule.texts * given.scale))
        placed = writer.place(Placing(rule.length, texts, rule.each, rule.edge))
        queries = trunk.encode(placed.queries, given.out)
        said = f"texts of {rule.length} tokens"
        vectors = trunk.encode(placed.texts, given.out, progress=progress(said))
        asked.append(Asked(queries, vectors, placed.hosts, share))
    pairs = neighbours(corpus, given.pairs)
    sides = [[corpus[int(text)] for text in side] for side in pairs.T]
    queries = trunk.encode(sides[0], given.out)
    texts_of = trunk.encode(sides[1], given.out, progress=progress("texts of pairs"))
    return asked, Paired(queries, texts_of)


def neighbours(corpus: TokenCorpus, most: int) -> NDArray[np.int64]:
    """Pairs i64 [p, 2], in stretches of neighbours drawn from all over the corpus."""
    stretches = len(corpus.pairs) // NEIGHBOURS
    chosen = np.random.default_rng(1).permutation(stretches)[: most // NEIGHBOURS]
    starts = np.sort(chosen)[:, None] * NEIGHBOURS
    chosen_pairs: NDArray[np.int64] = corpus.pairs[(starts + np.arange(NEIGHBOURS)).ravel()]
    return chosen_pairs


def progress(said: str) -> ProgressCallback:
    """A line for every tenth of the tokens."""
    shown = 0

    def tell(now: ProgressUpdate) -> None:
        nonlocal shown
        tenths = now.done * 10 // (now.total or 1)
        if tenths > shown:
            shown = tenths
            print(f"{said}: {now.done:,} of {now.total:,} tokens", flush=True)

    return tell


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(main())
