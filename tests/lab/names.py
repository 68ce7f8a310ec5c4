"""Texts of made-up names in WordPiece: some are a token, others two; common words between them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from lab.distillation.needles import Words
from lab.distillation.query_weights import document_frequencies, query_weights
from lab.text.corpus import Record, TokenCorpus, tokenise
from retrieval.encoders.export.onnx_graph import export
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.train.student import Student

SYLLABLES = ["ba", "do", "ki", "lu", "mesa", "nor", "pif", "tur"]
NAMES = ["".join(parts) for parts in itertools.product(SYLLABLES, repeat=3)]
COMMON = ["the", "and", "with"]


def tokenizer() -> Tokenizer:
    """WordPiece: some names are one token, others are two."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "?", ".", "what", "who", *COMMON, *NAMES[::2]]
    pieces += [*SYLLABLES, *(f"##{piece}" for piece in SYLLABLES)]
    known = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    made = Tokenizer(models.WordPiece(known, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def corpus(seed: int = 0, texts: int = 150, *, sentences: bool = False) -> TokenCorpus:
    """Each text 60 names; in sentences of five, and with a query of two of its names, if asked."""
    rng = np.random.default_rng(seed)
    records = []
    for _ in range(texts):
        names = rng.choice(NAMES, 60)
        words = [word for name in names for word in (rng.choice(COMMON), name)]
        if not sentences:
            records.append(Record(" ".join(words)))
            continue
        parts = [" ".join(words[at : at + 10]) for at in range(0, len(words), 10)]
        records.append(Record(" . ".join(parts), query=" ".join(names[:2])))
    return tokenise(records, tokenizer(), max_tokens=128)


def words_of(texts: TokenCorpus) -> Words:
    """What the vocabulary's tokens are, with a table in which any may be near to any."""
    return Words.of(tokenizer(), texts, table())


def table() -> NDArray[np.float32]:
    """An embedding table."""
    size = tokenizer().get_vocab_size(), 8
    return np.random.default_rng(1).normal(size=size).astype(np.float32)


def untrained(texts: TokenCorpus, *, weighted: bool = True) -> Student:
    """Untrained; its query tokens count by how rare they are in the texts, or all the same."""
    own = tokenizer()
    config = ModernBertConfig(
        vocab_size=own.get_vocab_size(),
        hidden_size=64,
        intermediate_size=64,
        num_layers=2,
        num_heads=2,
        layer_kinds=("global", "local"),
    )
    made = Student(config, dense_dim=32, tokens=32)
    made.initialise(seed=0)
    if weighted:
        marks = tuple(own.token_to_id(mark) for mark in ("[CLS]", "[SEP]"))
        counted = document_frequencies(texts, own.get_vocab_size())
        made.query_token_weights = torch.from_numpy(query_weights(*counted, special=marks))
    return made.eval()


def write_model(folder: Path, texts: TokenCorpus, *, weighted: bool = True) -> Path:
    """The same as a model folder."""
    path = folder.with_name(f"{folder.name}-tokenizer.json")
    tokenizer().save(str(path))
    made = untrained(texts, weighted=weighted)
    export(
        folder,
        config=made.config.to_dict(),
        state=made.arrays(),
        tokenizer_json=path,
        retrieval_config={"name": folder.name},
    )
    return folder
