"""A small model and a collection in a made-up language, in which there is something to learn.

Every notion has a word for documents and another for queries, so no query shares a word with what
answers it: an untrained model can but guess, a trained one knows which words mean the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from retrieval.encoders.export.onnx_graph import export
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.train.student import Student

NOTIONS = 24
TOLD = [f"zo{number}" for number in range(NOTIONS)]
ASKED = [f"qua{number}" for number in range(NOTIONS)]
FILLERS = [f"um{number}" for number in range(30)]


def tokenizer() -> Tokenizer:
    """One token a word."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *TOLD, *ASKED, *FILLERS]
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, "[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


def write_start(folder: Path, *, seed: int = 0, layers: int = 2) -> Path:
    """A model folder with random weights, 2 layers of 64."""
    own = tokenizer()
    config = ModernBertConfig(
        vocab_size=own.get_vocab_size(),
        hidden_size=64,
        intermediate_size=96,
        num_layers=layers,
        num_heads=2,
        layer_kinds=("global", "local", "global")[:layers],  # type: ignore[arg-type]
        max_positions=512,
    )
    student = Student(config, dense_dim=64, tokens=32)
    student.initialise(seed)
    path = folder.parent / f"{folder.name}-tokenizer.json"
    own.save(str(path))
    export(
        folder,
        config=config.to_dict(),
        state=student.arrays(),
        tokenizer_json=path,
        retrieval_config={"name": folder.name, "max_tokens": 512, "query_max_tokens": 64},
    )
    return folder


def write_collection(
    folder: Path, *, documents: int = 160, train: int = 112, dev: int = 32, seed: int = 0
) -> Path:
    """A folder in BEIR's format: each query asks for two of the three notions of a document."""
    rng = np.random.default_rng(seed)
    (folder / "qrels").mkdir(parents=True)
    queries: list[dict[str, str]] = []
    corpus: list[dict[str, str]] = []
    judged: dict[str, list[tuple[str, str]]] = {"train": [], "dev": []}
    for number in range(documents):
        notions = rng.choice(NOTIONS, 3, replace=False)
        words = [TOLD[n] for n in notions] + list(rng.choice(FILLERS, 9))
        corpus.append({"_id": f"d{number}", "title": "", "text": " ".join(rng.permutation(words))})
        split = "train" if number < train else "dev" if number < train + dev else None
        if split is not None:
            asked = rng.permutation(notions)[:2]
            queries.append({"_id": f"q{number}", "text": " ".join(ASKED[n] for n in asked)})
            judged[split].append((f"q{number}", f"d{number}"))
    _lines(folder / "corpus.jsonl", corpus)
    _lines(folder / "queries.jsonl", queries)
    for split, pairs in judged.items():
        if pairs:
            rows = ["query-id\tcorpus-id\tscore", *(f"{q}\t{d}\t1" for q, d in pairs)]
            (folder / "qrels" / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    return folder


def _lines(path: Path, rows: Sequence[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
