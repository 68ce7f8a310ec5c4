"""Pretrain a ModernBERT of your own shape on text, as ModernBERT itself was, or go on doing so.

    python -m lab.recipes.pretrain --text 'text/*.jsonl' --tokenizer tokenizer.json \\
        --layers 7 --hidden 256 --heads 4 --intermediate 384 --tokens 1000000000 \\
        --out runs/mine --export models/mine

    torchrun --nproc-per-node 8 -m lab.recipes.pretrain ...      the same on eight GPUs

`--text` names JSONL files of records with a `text` and perhaps a `title`. `--from` begins from a
model: of the same shape, or a smaller one, which is tiled. A run that is killed goes on from its
last checkpoint when it is started again with the same arguments. `--export` names a folder that
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
from lab.running.distributed import Ranks, ranks
from lab.running.optimisers import OptimiserSettings
from lab.text.corpus import read_records
from lab.text.tokens import Documents, open_documents, tokenised
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.tokenization import load_tokenizer
from retrieval.errors import InputError, RetrievalError
from retrieval.types import ProgressUpdate


def main() -> int:
    """Read the text, train, write the model; 1 if that could not be done, 130 if interrupted."""
    arguments = _arguments()
    screen = Console(stderr=True)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        with ranks(arguments.device) as own:
            return _run(arguments, own, screen)
    except (RetrievalError, OSError) as error:
        screen.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        screen.print("interrupted; the same command goes on from the last checkpoint")
        return 130


def _arguments() -> argparse.Namespace:
    usual = OptimiserSettings()
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
    course.add_argument("--adam", type=float, default=usual.adam, help="peak rate")
    course.add_argument("--muon", type=float, default=usual.muon, help="peak rate")
    course.add_argument("--no-muon", dest="muon", action="store_const", const=None)
    course.add_argument("--weight-decay", type=float, default=1e-5)
    course.add_argument("--seed", type=int, default=0)
    add("--minutes", type=float, help="stop with a checkpoint after this long")
    add("--device", choices=["cpu", "cuda"], help="default: CUDA where there is one")
    add("--threads", type=int, help="on a CPU")
    return parser.parse_args()


def _run(arguments: argparse.Namespace, own: Ranks, screen: Console) -> int:
    deadline = time.monotonic() + arguments.minutes * 60 if arguments.minutes else None
    tokenizer = load_tokenizer(_tokenizer_file(arguments))
    known = special_ids(tokenizer.get_vocab())
    model = _model(arguments, tokenizer, known.get("[PAD]", 0)).to(own.device)
    with _bars(screen, hidden=not own.leads) as bars:
        documents = _documents(arguments, tokenizer, own, bars)
        masking = Masking(
            known["[MASK]"],
            list(known.values()),
            model.trunk.config.vocab_size,
            share=arguments.share,
        )
        config = PretrainConfig(
            modernbert_phases(
                arguments.tokens,
                arguments.batch_tokens,
                short=arguments.short,
                long=arguments.long,
            ),
            arguments.pack_tokens or arguments.long,
            OptimiserSettings(
                adam=arguments.adam, muon=arguments.muon, weight_decay=arguments.weight_decay
            ),
            seed=arguments.seed,
        )
        task = bars.add_task("begin", total=arguments.tokens)
        done = pretrain(
            model,
            Text(documents, masking, (known["[CLS]"], known["[SEP]"])),
            config,
            arguments.out,
            ranks=own,
            log=lambda figures: _show(bars, task, figures),
            deadline=deadline,
        )
    if own.leads and arguments.export:
        write_masked_lm(arguments.export, model, tokenizer)
        screen.print(f"the model is in {arguments.export}", markup=False)
    if own.leads and not done:
        screen.print("stopped before the end; the same command goes on from the checkpoint")
    return 0


def _tokenizer_file(arguments: argparse.Namespace) -> Path:
    if arguments.tokenizer is not None:
        return Path(arguments.tokenizer)
    if arguments.begin is not None:
        return Path(arguments.begin) / "tokenizer.json"
    raise InputError("no tokenizer: name a tokenizer.json with --tokenizer, or a model with --from")


def _model(arguments: argparse.Namespace, tokenizer: Tokenizer, pad_id: int) -> MaskedLM:
    """The model to begin with: random, or read, or tiled."""
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if arguments.begin is None:
        config = _shape(arguments, highest + 1, pad_id)
        fresh = MaskedLM(config)
        fresh.initialise(arguments.seed)
        return fresh
    small = load_masked_lm(arguments.begin)
    own = small.trunk.config
    if highest >= own.vocab_size:
        raise InputError(
            f"the tokenizer has ids up to {highest}, {arguments.begin} embeds {own.vocab_size} "
            "tokens: they are not of one model"
        )
    wanted = (arguments.layers, arguments.hidden, arguments.heads, arguments.intermediate)
    if not any(wanted):
        return small
    larger = _shape(arguments, own.vocab_size, own.pad_token_id, own)
    return tile(small, larger, seed=arguments.seed)


def _shape(
    arguments: argparse.Namespace, vocabulary: int, pad_id: int, own: ModernBertConfig | None = None
) -> ModernBertConfig:
    """The shape that the options ask for, the rest as in `own`; every third layer is global."""
    hidden = arguments.hidden or (own.hidden_size if own else 256)
    heads = arguments.heads or max(hidden // (own.head_dim if own else 64), 1)
    layers = arguments.layers or (own.num_layers if own else 7)
    inner = arguments.intermediate or hidden * 3 // 2
    if own and not arguments.intermediate:
        inner = max(inner, own.intermediate_size)
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
    if own:
        return dataclasses.replace(own, **shape)
    return ModernBertConfig(**shape, pad_token_id=pad_id)


def _documents(
    arguments: argparse.Namespace, tokenizer: Tokenizer, own: Ranks, bars: Progress
) -> Documents:
    """The text as token ids: one process makes them, then all read them."""
    folder = arguments.out / "tokens"
    if own.leads:
        files = sorted({Path(name) for pattern in arguments.text for name in glob.glob(pattern)})
        if not files:
            raise InputError(f"no file matches {', '.join(arguments.text)}")
        task = bars.add_task("tokenise", total=None)

        def tell(now: ProgressUpdate) -> None:
            bars.update(task, completed=now.done)

        tokenised(folder, files, read_records(files), tokenizer, progress=tell)
        bars.remove_task(task)
    own.wait()
    return open_documents(folder)


def _bars(screen: Console, *, hidden: bool) -> Progress:
    columns = ("{task.description}", "{task.completed:,} tokens")
    return Progress(
        *(TextColumn(column) for column in columns),
        BarColumn(),
        TimeRemainingColumn(),
        console=screen,
        disable=hidden,
    )


def _show(bars: Progress, task: TaskID, figures: Figures) -> None:
    said = f"{figures['phase']}: step {figures['step']:,}, loss {figures['loss']:.3f}"
    bars.update(task, description=said, completed=figures["seen"])


if __name__ == "__main__":
    sys.exit(main())
