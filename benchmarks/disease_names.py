"""Entities in text: a fitted classifier of words, a linear probe, and regressions on words.

    python benchmarks/disease_names.py FOLDER --work FOLDER --out FILE.json

FOLDER holds the NCBI disease corpus (Doğan, Leaman and Lu, 2014: names of diseases in abstracts of
PubMed) as `train.tsv` and `test.tsv`: a word, a tab and its tag a line (O, B-Disease, I-Disease), a
blank line behind each sentence, as github.com/spyysalo/ncbi-disease has it under `conll`.

    fitted      the embedded model and a head, trained together (`retrieval train FILE.jsonl`)
    probe       the head's last map alone is fitted; the network stays (`--epochs 0`)
    regression  logistic regression on a word, its ending, its shape and the words beside it
    dictionary  the longest names of train.tsv, wherever they stand

Precision, recall and F1 are of whole entities, as seqeval has them. `--only fitted` runs one of
them; what the others gave stays in FILE.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from command import run_main
from environment import environment
from json_files import write_json

from retrieval.encoders.words import entities_of
from retrieval.errors import InputError
from retrieval.eval.labels import entity_f1
from retrieval.train.label_data import Labelled, read_labelled

Tags = list[list[str]]
_LONGEST = 12  # words of a name in the dictionary


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--sentences", type=int, help="learnt from, at most; all if not said")
    parser.add_argument("--tokens", type=int, default=128, help="read of a sentence")
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("dictionary", "regression", "probe", "fitted"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    learnt, test = (read(args.corpus, split, args.work) for split in ("train", "test"))
    if args.sentences is not None:
        learnt = learnt.part(range(min(args.sentences, len(learnt))))
    wanted = [entities_of(*one) for one in zip(test.words, test.tags, strict=True)]
    result: dict[str, Any] = {
        **environment(("modernbert-retrieval", "torch", "scikit-learn", "numpy")),
        "corpus": "NCBI disease",
        "learnt": len(learnt),
        "test": len(test),
        "entities": sum(map(len, wanted)),
        "tokens": args.tokens,
        "epochs": args.epochs,
        "seed": args.seed,
        "systems": {},
    }
    systems = {
        "dictionary": lambda: dictionary(learnt, test),
        "regression": lambda: regression(learnt, test),
        "probe": lambda: fitted(learnt, test, args, 0),
        "fitted": lambda: fitted(learnt, test, args, args.epochs),
    }
    for name, run in systems.items():
        if args.only not in (None, name):
            continue
        found = [entities_of(*one) for one in zip(test.words, run(), strict=True)]
        figures = {name: entity_f1(wanted, found)}
        print(name, figures[name], flush=True)
        if args.out.exists():
            figures = json.loads(args.out.read_text())["systems"] | figures
        result["systems"] = {one: figures[one] for one in systems if one in figures}
        write_json(args.out, result)


def read(folder: Path, split: str, work: Path) -> Labelled:
    """The sentences of a split, by way of the JSON lines that `retrieval train` reads."""
    path = folder / f"{split}.tsv"
    rows = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        pairs = [line.split("\t") for line in block.splitlines() if line.strip()]
        if any(len(pair) != 2 for pair in pairs):
            raise InputError(f"{path}: a line is no word, tab and tag")
        if pairs:
            rows.append({"tokens": [a for a, _ in pairs], "tags": [b for _, b in pairs]})
    work.mkdir(parents=True, exist_ok=True)
    lines = work / f"{split}.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_labelled(lines)


def words_of(data: Labelled) -> Iterator[list[str]]:
    """The words of each sentence."""
    for text, spans in zip(data.texts, data.words, strict=True):
        yield [text[start:end] for start, end in spans]


def dictionary(learnt: Labelled, test: Labelled) -> Tags:
    """The longest known name at each place, in any case."""
    known: dict[tuple[str, ...], str] = {}
    for words, spans, tags in zip(words_of(learnt), learnt.words, learnt.tags, strict=True):
        places = {start: at for at, (start, _) in enumerate(spans)}
        for entity in entities_of(spans, tags):
            first = places[entity.start]
            last = next(at for at, (_, end) in enumerate(spans) if end == entity.end)
            known[tuple(word.lower() for word in words[first : last + 1])] = entity.label
    found = []
    for words in words_of(test):
        lower = [word.lower() for word in words]
        tags = ["O"] * len(words)
        at = 0
        while at < len(words):
            sizes = range(min(_LONGEST, len(words) - at), 0, -1)
            size = next((n for n in sizes if tuple(lower[at : at + n]) in known), 0)
            if size:
                label = known[tuple(lower[at : at + size])]
                tags[at : at + size] = [f"B-{label}", *[f"I-{label}"] * (size - 1)]
            at += size or 1
        found.append(tags)
    return found


def regression(learnt: Labelled, test: Labelled) -> Tags:
    """Logistic regression on what a word looks like and stands beside."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    seen = DictVectorizer()
    rows = seen.fit_transform([one for words in words_of(learnt) for one in _features(words)])
    model = LogisticRegression(C=1.0, max_iter=200)
    model.fit(rows, [tag for tags in learnt.tags for tag in tags])
    return [model.predict(seen.transform(_features(words))).tolist() for words in words_of(test)]


def _features(words: list[str]) -> list[dict[str, str]]:
    """Of each word: itself, its ending and its shape, and the two words on either side."""
    padded = ["<", "<", *(word.lower() for word in words), ">", ">"]
    return [
        {
            **{f"word{by:+d}": padded[at + 2 + by] for by in range(-2, 3)},
            "end": word[-3:].lower(),
            "begin": word[:3].lower(),
            "shape": "".join("A" if c.isupper() else "0" if c.isdigit() else "a" for c in word[:6]),
        }
        for at, word in enumerate(words)
    ]


def fitted(learnt: Labelled, test: Labelled, given: argparse.Namespace, epochs: float) -> Tags:
    """The embedded model and a head; with no epochs the network stays as it is."""
    from retrieval.encoders.classifier import load_classifier
    from retrieval.train.labelling import LabelOptions, fit_labels

    out = given.work / f"epochs-{epochs:g}"
    options = LabelOptions(epochs=epochs, max_tokens=given.tokens, seed=given.seed)
    if not (out / "training.json").exists():
        fit_labels(learnt, None, out, options=options)
    return load_classifier(out).tags(test.texts, test.words)


if __name__ == "__main__":
    run_main(main)
