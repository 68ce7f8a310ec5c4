"""Copies of MTEB's data sets, small and in the files and columns in which each is published."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.eval.dataset_files import write, write_parquet

_SAID = """lock writer reader snapshot rotary position hen goose fox cow winter summer autumn
train window token passage index vector score query rank measure paper river stone"""
WORDS = _SAID.split()

Rows = list[dict[str, Any]]


def texts(count: int, words: int, prefix: str, seed: int) -> dict[str, str]:
    """Texts of random words by id; some are there twice, under two ids."""
    drawn = random.Random(seed)
    found = {f"{prefix}{n}": " ".join(drawn.choices(WORDS, k=words)) for n in range(count)}
    for n in range(0, count - 5, 5):
        found[f"{prefix}{n + 1}"] = found[f"{prefix}{n}"]
    return found


def asked(corpus: Mapping[str, str], count: int, prefix: str = "q") -> tuple[dict[str, str], Rows]:
    """Queries of three words of a document, and judgements: that one, and two others."""
    drawn = random.Random(7)
    queries: dict[str, str] = {}
    rows: Rows = []
    for n in range(count):
        id, (best, *others) = f"{prefix}{n}", drawn.sample(list(corpus), 3)
        queries[id] = " ".join(drawn.sample(corpus[best].split(), 3))
        grades = {best: 2, **dict.fromkeys(others, 1)}
        rows += [{"query-id": id, "corpus-id": d, "score": g} for d, g in grades.items()]
    return queries, rows


def card(folder: Path, configs: Mapping[str, Mapping[str, str]]) -> None:
    """The head of a data set's README: the files of each split of each configuration."""
    lines = ["---", "configs:"]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, path in splits.items():
            lines += [f"  - split: {split}", f"    path: {path}"]
    write(folder / "README.md", "\n".join([*lines, "---", ""]))


def beir(folder: Path, documents: int = 30) -> Path:
    """As mteb/scifact and the others of BEIR are: JSON lines, judgements by split."""
    corpus = texts(documents, 12, "d", 1)
    queries, rows = asked(corpus, 6)
    write(
        folder / "corpus.jsonl",
        [{"_id": id, "title": text.split()[0], "text": text} for id, text in corpus.items()],
    )
    write(folder / "queries.jsonl", [{"_id": id, "text": text} for id, text in queries.items()])
    write(folder / "qrels" / "train.jsonl", rows[:3])
    write(folder / "qrels" / "test.jsonl", rows[3:])
    card(
        folder,
        {
            "default": {"train": "qrels/train.jsonl", "test": "qrels/test.jsonl"},
            "corpus": {"corpus": "corpus.jsonl"},
            "queries": {"queries": "queries.jsonl"},
        },
    )
    return folder


def pushed(folder: Path, split: str, *, subset: str | None = None) -> dict[str, dict[str, str]]:
    """As mteb pushes data sets, NanoBEIR's and MLDR's among them: parquet files of a split."""
    corpus = texts(25, 10, "d", 3)
    queries, rows = asked(corpus, 5)
    before = "" if subset is None else f"{subset}-"
    parts: dict[str, Rows] = {
        f"{before}corpus": [{"id": id, "title": "", "text": text} for id, text in corpus.items()],
        f"{before}queries": [{"id": id, "text": text} for id, text in queries.items()],
        f"{before}qrels": rows,
    }
    for name, part in parts.items():
        write_parquet(folder / name / f"{split}-00000-of-00001.parquet", part)
    return {name: {split: f"{name}/{split}-*"} for name in parts}


def nano(folder: Path) -> Path:
    """As mteb/NanoSciFactRetrieval is."""
    card(folder, pushed(folder, "train"))
    return folder


def mldr(folder: Path, languages: Sequence[str] = ("en", "de")) -> Path:
    """As mteb/MultiLongDocRetrieval is: a configuration for each part of each language."""
    configs: dict[str, dict[str, str]] = {}
    for language in languages:
        for split in ("dev", "test"):
            for config, files in pushed(folder, split, subset=language).items():
                configs.setdefault(config, {}).update(files)
    card(folder, configs)
    return folder


def coir(folder: Path) -> Path:
    """As CoIR-Retrieval/cosqa is, of MTEB's code benchmark."""
    corpus = texts(25, 10, "d", 5)
    queries, rows = asked(corpus, 6)
    more = {"partition": "test", "language": "python", "title": ""}
    extra = {"meta_information": {"resource": ""}}
    write_parquet(
        folder / "corpus" / "corpus-00000-of-00001.parquet",
        [{"_id": id, **more, "text": text, **extra} for id, text in corpus.items()],
    )
    write_parquet(
        folder / "queries" / "queries-00000-of-00001.parquet",
        [{"_id": id, **more, "text": text, **extra} for id, text in queries.items()],
    )
    splits = {"train": rows[:3], "valid": rows[3:6], "test": rows[6:]}
    for split, some in splits.items():
        write_parquet(folder / "default" / f"{split}-00000-of-00001.parquet", some)
    card(
        folder,
        {
            "corpus": {"corpus": "corpus/corpus-*"},
            "default": {split: f"default/{split}-*" for split in splits},
            "queries": {"queries": "queries/queries-*"},
        },
    )
    return folder


def passkey(folder: Path) -> Path:
    """As mteb/LEMBPasskeyRetrieval is, of LongEmbed: a split for each length."""
    configs: dict[str, dict[str, str]] = {}
    for length in (256 << n for n in range(8)):
        for config, files in pushed(folder, f"test_{length}").items():
            configs.setdefault(config, {}).update(files)
    card(folder, configs)
    return folder
