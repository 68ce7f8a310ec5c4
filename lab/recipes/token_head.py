"""Train a model's token head further, on a frozen trunk, to find the text that states something.

    python -m lab.recipes.token_head --start FOLDER --corpus runs/embedded/corpus.npz \\
        --out runs/head --export models/next

The corpus is the one that `embedded_model.py` keeps in its output folder. Texts are encoded once
and kept in the output folder, 0.8 KB a token. An interrupted run resumes when it is started again
with the same arguments. Dense vectors do not change.
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
from lab.distillation.statements import FAMILY_SIZE, PlacementRule, Writer
from lab.distillation.token_head import HeadConfig, fit_token_head
from lab.distillation.token_head_reading import PairSet, QuerySet, widen
from lab.recipes.command import open_log, run_recipe
from lab.text.corpus import TokenCorpus
from retrieval.encoders.model_folder import TOKENIZER_FILE
from retrieval.encoders.tokenization import load_tokenizer
from retrieval.errors import CheckpointError, InputError
from retrieval.train.student import Student, export_like
from retrieval.types import ProgressCallback, ProgressUpdate

PLACINGS = (
    (PlacementRule(8192, 610, 20), 0.46),
    (PlacementRule(4096, 200, 8), 0.09),
    (PlacementRule(2048, 800, 5), 0.17),
    (PlacementRule(512, 2200, 2, edge=0.2), 0.12),
    (PlacementRule(256, 9000, 2, edge=0.3), 0.16),
)
"""Texts with statements in them, and the share of steps on each kind."""

REGION_PAIRS = 64
"""Pairs that are taken from one region of the corpus."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and train; the exit code."""
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
    args = parser.parse_args(arguments)
    return run_recipe(lambda: train(args))


def train(args: argparse.Namespace) -> None:
    """Encode what is not encoded yet, train, and export the model."""
    if args.steps < 1 or not 0 < args.scale < float("inf"):
        raise InputError(f"--steps {args.steps} --scale {args.scale}, expected numbers above 0")
    student = Student.from_folder(args.start)
    if student.query_token_weights is None:
        raise CheckpointError(f"{args.start} has no weights of query tokens, which are trained")
    args.out.mkdir(parents=True, exist_ok=True)
    widen(student, args.inner, near=args.near, reach=args.reach)
    config = HeadConfig(steps=args.steps, pairs=REGION_PAIRS)
    tokenizer = load_tokenizer(args.start / TOKENIZER_FILE)
    corpus = read_corpus(args.corpus, tokenizer)
    pair_count = min(args.pairs, len(corpus.pairs))
    if pair_count < REGION_PAIRS:
        raise InputError(
            f"--pairs {args.pairs} of the {len(corpus.pairs)} pairs of {args.corpus}, expected "
            f"at least {REGION_PAIRS}: make the corpus of records with a `query`"
        )
    trunk = Trunk(student, args.start / TOKENIZER_FILE)
    try:
        query_sets, pair_set = encode_texts(args, student, trunk, corpus, tokenizer)
    finally:
        trunk.close()
    with open_log(args.out / "log.jsonl") as log:
        fit_token_head(student, query_sets, pair_set, config, args.out, log=log)
    if args.export:
        export_like(args.export, student, args.start)


def read_corpus(path: Path, tokenizer: Tokenizer) -> TokenCorpus:
    """Token ids of the model's own tokenizer.

    Raises:
        CheckpointError: the file is damaged, or of another tokenizer.
    """
    expected = "expected the corpus.npz that embedded_model.py leaves with the model's tokenizer"
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            corpus = TokenCorpus(**arrays)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror or error}), {expected}"
        ) from None
    except (ValueError, TypeError, EOFError, BadZipFile):
        raise CheckpointError(f"{path} is damaged or no corpus of token ids, {expected}") from None
    special = {tokenizer.token_to_id("[CLS]")}, {tokenizer.token_to_id("[SEP]")}
    found = set(corpus.ids[corpus.offsets[:-1]]), set(corpus.ids[corpus.offsets[1:] - 1])
    largest_id = int(corpus.ids.max(initial=0))
    if found != special or largest_id >= tokenizer.get_vocab_size():
        raise CheckpointError(f"{path} has ids of another tokenizer, {expected}")
    return corpus


def encode_texts(
    args: argparse.Namespace,
    student: Student,
    trunk: Trunk,
    corpus: TokenCorpus,
    tokenizer: Tokenizer,
) -> tuple[list[QuerySet], PairSet]:
    """Hidden vectors of texts with statements and of pairs."""
    table = student.trunk.embeddings.tok_embeddings.weight.detach().numpy()
    first, last, full_stop = (tokenizer.token_to_id(mark) for mark in ("[CLS]", "[SEP]", "."))
    if first is None or last is None or full_stop is None:
        raise CheckpointError(f"{args.start}: its tokenizer lacks [CLS], [SEP] or a full stop")
    writer = Writer(corpus, Words.of(tokenizer, corpus, table), (first, last, full_stop), seed=0)
    query_sets: list[QuerySet] = []
    for rule, share in PLACINGS:
        texts = max(FAMILY_SIZE, round(rule.texts * args.scale))
        placed = writer.place(PlacementRule(rule.length, texts, rule.each, rule.edge))
        queries = trunk.encode(placed.queries, args.out)
        label = f"texts of {rule.length} tokens"
        vectors = trunk.encode(placed.texts, args.out, progress=progress_printer(label))
        query_sets.append(QuerySet(queries, vectors, placed.hosts, share))
    pairs = neighbouring_pairs(corpus, args.pairs)
    sides = [[corpus[int(text)] for text in side] for side in pairs.T]
    queries = trunk.encode(sides[0], args.out)
    pair_texts = trunk.encode(sides[1], args.out, progress=progress_printer("texts of pairs"))
    return query_sets, PairSet(queries, pair_texts)


def neighbouring_pairs(corpus: TokenCorpus, most: int) -> NDArray[np.int64]:
    """Pairs i64 [p, 2], in runs of neighbours drawn from all over the corpus."""
    region_count = len(corpus.pairs) // REGION_PAIRS
    regions = np.random.default_rng(1).permutation(region_count)[: most // REGION_PAIRS]
    starts = np.sort(regions)[:, None] * REGION_PAIRS
    pairs: NDArray[np.int64] = corpus.pairs[(starts + np.arange(REGION_PAIRS)).ravel()]
    return pairs


def progress_printer(label: str) -> ProgressCallback:
    """A callback that prints a line for every tenth of the tokens."""
    printed = 0

    def print_tenth(update: ProgressUpdate) -> None:
        nonlocal printed
        tenths = update.done * 10 // (update.total or 1)
        if tenths > printed:
            printed = tenths
            print(f"{label}: {update.done:,} of {update.total:,} tokens", flush=True)

    return print_tenth


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(main())
