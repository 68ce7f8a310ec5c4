"""Pretrain a ModernBERT of your own shape on text, as ModernBERT itself was, or continue doing so.

    python -m lab.recipes.pretrain --text 'text/*.jsonl' --tokenizer tokenizer.json \\
        --layers 7 --hidden 256 --heads 4 --intermediate 384 --tokens 1000000000 \\
        --out runs/mine --export models/mine

    torchrun --nproc-per-node 8 -m lab.recipes.pretrain ...      the same on eight GPUs

`--text` names JSONL files of records with a `text` and optionally a `title`. `--from` starts from a
model: of the same shape, or a smaller one, which is tiled. An interrupted run resumes from its last
checkpoint when it is started again with the same arguments. `--export` names a folder that
retrieval and transformers read.
"""

from __future__ import annotations

import argparse
import dataclasses
import glob
import sys
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from tokenizers import Tokenizer

from lab.pretraining.masked_lm import load_masked_lm, write_masked_lm
from lab.pretraining.masking import MaskedLM, Masking, special_ids
from lab.pretraining.phases import modernbert_phases
from lab.pretraining.pretrain import Figures, PretrainConfig, Text, pretrain
from lab.pretraining.tiling import tile
from lab.running.distributed import Ranks, join_ranks
from lab.running.optimisers import OptimiserSettings
from lab.text.corpus import read_records
from lab.text.tokens import Documents, open_documents, tokenise_to_folder
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.tokenization import load_tokenizer
from retrieval.errors import InputError, RetrievalError
from retrieval.types import ProgressUpdate


def main() -> int:
    """Read the text, train, write the model; the exit code."""
    args = _parse_arguments()
    screen = Console(stderr=True)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        with join_ranks(args.device) as ranks:
            return _run(args, ranks, screen)
    except (RetrievalError, OSError) as error:
        screen.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        screen.print("interrupted; the same command goes on from the last checkpoint")
        return 130


def _parse_arguments() -> argparse.Namespace:
    defaults = OptimiserSettings()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--text", action="append", required=True, metavar="GLOB", help="JSONL; may be repeated")
    add("--tokenizer", type=Path, help="a tokenizer.json; default: the one beside --from")
    add("--from", dest="begin", type=Path, metavar="FOLDER", help="a ModernBERT to begin from")
    add("--out", type=Path, required=True, help="checkpoint, log and token ids go here")
    add("--export", type=Path, metavar="FOLDER", help="write the model here at the end")
    shape = parser.add_argument_group("shape (default: that of --from, else the numbers given)")
    shape.add_argument("--layers", type=int, help="7")
    shape.add_argument("--hidden", type=int, help="256")
    shape.add_argument("--heads", type=int, help="a head for each 64 of --hidden")
    shape.add_argument("--intermediate", type=int, help="3/2 of --hidden")
    course = parser.add_argument_group("course")
    course.add_argument("--tokens", type=int, required=True, help="to see in all three phases")
    course.add_argument("--batch-tokens", type=int, default=1 << 16, help="of a step")
    course.add_argument("--pack-tokens", type=int, help="of a forward pass; default: --long")
    course.add_argument("--short", type=int, default=1024, help="longest text, first phase")
    course.add_argument("--long", type=int, default=8192, help="longest text, later phases")
    course.add_argument("--share", type=float, default=0.3, help="of the tokens to guess")
    course.add_argument("--adam", type=float, default=defaults.adam, help="peak rate")
    course.add_argument("--muon", type=float, default=defaults.muon, help="peak rate")
    course.add_argument("--no-muon", dest="muon", action="store_const", const=None)
    course.add_argument("--weight-decay", type=float, default=1e-5)
    course.add_argument("--seed", type=int, default=0)
    add("--minutes", type=float, help="stop with a checkpoint after this long")
    add("--device", choices=["cpu", "cuda"], help="default: CUDA where there is one")
    add("--threads", type=int, help="on a CPU")
    return parser.parse_args()


def _run(args: argparse.Namespace, ranks: Ranks, screen: Console) -> int:
    deadline = time.monotonic() + args.minutes * 60 if args.minutes else None
    tokenizer = load_tokenizer(_tokenizer_file(args))
    special = special_ids(tokenizer.get_vocab())
    model = _model(args, tokenizer, special.get("[PAD]", 0)).to(ranks.device)
    with _progress_bars(screen, hidden=not ranks.leads) as bars:
        documents = _tokenised_documents(args, tokenizer, ranks, bars)
        masking = Masking(
            special["[MASK]"],
            list(special.values()),
            model.trunk.config.vocab_size,
            share=args.share,
        )
        config = PretrainConfig(
            modernbert_phases(
                args.tokens,
                args.batch_tokens,
                short=args.short,
                long=args.long,
            ),
            args.pack_tokens or args.long,
            OptimiserSettings(adam=args.adam, muon=args.muon, weight_decay=args.weight_decay),
            seed=args.seed,
        )
        task = bars.add_task("begin", total=args.tokens)
        finished = pretrain(
            model,
            Text(documents, masking, (special["[CLS]"], special["[SEP]"])),
            config,
            args.out,
            ranks=ranks,
            log=lambda figures: _show_figures(bars, task, figures),
            deadline=deadline,
        )
    if ranks.leads and args.export:
        write_masked_lm(args.export, model, tokenizer)
        screen.print(f"the model is in {args.export}", markup=False)
    if ranks.leads and not finished:
        screen.print("stopped before the end; the same command goes on from the checkpoint")
    return 0


def _tokenizer_file(args: argparse.Namespace) -> Path:
    if args.tokenizer is not None:
        return Path(args.tokenizer)
    if args.begin is not None:
        return Path(args.begin) / "tokenizer.json"
    raise InputError("no tokenizer: name a tokenizer.json with --tokenizer, or a model with --from")


def _model(args: argparse.Namespace, tokenizer: Tokenizer, pad_id: int) -> MaskedLM:
    """The initial model: random, read, or tiled."""
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if args.begin is None:
        config = _shape(args, highest + 1, pad_id)
        model = MaskedLM(config)
        model.initialise(args.seed)
        return model
    small = load_masked_lm(args.begin)
    small_config = small.trunk.config
    if highest >= small_config.vocab_size:
        raise InputError(
            f"the tokenizer has ids up to {highest}, {args.begin} embeds {small_config.vocab_size} "
            "tokens: they are not of one model"
        )
    shape_options = (args.layers, args.hidden, args.heads, args.intermediate)
    if not any(shape_options):
        return small
    larger = _shape(args, small_config.vocab_size, small_config.pad_token_id, small_config)
    return tile(small, larger, seed=args.seed)


def _shape(
    args: argparse.Namespace, vocabulary: int, pad_id: int, base: ModernBertConfig | None = None
) -> ModernBertConfig:
    """The shape that the options give, otherwise that of `base`; every third layer is global."""
    hidden = args.hidden or (base.hidden_size if base else 256)
    heads = args.heads or max(hidden // (base.head_dim if base else 64), 1)
    layers = args.layers or (base.num_layers if base else 7)
    inner = args.intermediate or hidden * 3 // 2
    if base and not args.intermediate:
        inner = max(inner, base.intermediate_size)
    if min(hidden, heads, layers, inner) < 1 or hidden % (2 * heads):
        raise InputError(
            f"{layers} layers of {hidden} in {heads} heads, {inner} within: expected numbers above "
            "0, and heads of an even size that make up --hidden"
        )
    shape: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_layers": layers,
        "num_heads": heads,
        "layer_kinds": tuple("local" if layer % 3 else "global" for layer in range(layers)),
    }
    if base:
        return dataclasses.replace(base, **shape)
    return ModernBertConfig(**shape, pad_token_id=pad_id)


def _tokenised_documents(
    args: argparse.Namespace, tokenizer: Tokenizer, ranks: Ranks, bars: Progress
) -> Documents:
    """The text as token ids: one process writes them, then all read them."""
    folder = args.out / "tokens"
    if ranks.leads:
        files = sorted({Path(name) for pattern in args.text for name in glob.glob(pattern)})
        if not files:
            raise InputError(f"no file matches {', '.join(args.text)}")
        task = bars.add_task("tokenise", total=None)

        def show_progress(update_: ProgressUpdate) -> None:
            bars.update(task, completed=update_.done)

        tokenise_to_folder(folder, files, read_records(files), tokenizer, progress=show_progress)
        bars.remove_task(task)
    ranks.wait()
    return open_documents(folder)


def _progress_bars(screen: Console, *, hidden: bool) -> Progress:
    columns = ("{task.description}", "{task.completed:,} tokens")
    return Progress(
        *(TextColumn(column) for column in columns),
        BarColumn(),
        TimeRemainingColumn(),
        console=screen,
        disable=hidden,
    )


def _show_figures(bars: Progress, task: TaskID, figures: Figures) -> None:
    description = f"{figures['phase']}: step {figures['step']:,}, loss {figures['loss']:.3f}"
    bars.update(task, description=description, completed=figures["seen"])


if __name__ == "__main__":
    sys.exit(main())
