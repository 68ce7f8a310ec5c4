"""Entities in text: a fitted token classifier, a linear probe, and two baselines.

    python benchmarks/disease_names.py FOLDER --work FOLDER --out FILE.json

FOLDER holds the NCBI disease corpus (Doğan, Leaman and Lu, 2014: names of diseases in abstracts of
PubMed) as `train.tsv` and `test.tsv`: a word, a tab and its tag per line (O, B-Disease, I-Disease),
and a blank line after each sentence, as github.com/spyysalo/ncbi-disease has it under `conll`.

    fitted      the embedded model and a head, trained together (`retrieval train FILE.jsonl`)
    probe       only the head's last layer is fitted; the network is frozen (`--epochs 0`)
    regression  logistic regression on a word, its affixes and shape, and its neighbours
    dictionary  the longest names of train.tsv, wherever they occur

Precision, recall and F1 are of whole entities, as seqeval computes them. `--only fitted` runs one
system; results of the others stay in FILE.json.
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
_MAX_NAME_WORDS = 12


def main() -> None:
    """Run the systems, and write their scores."""
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
    train, test = (read_split(args.corpus, split, args.work) for split in ("train", "test"))
    if args.sentences is not None:
        train = train.part(range(min(args.sentences, len(train))))
    expected = [entities_of(*one) for one in zip(test.words, test.tags, strict=True)]
    result: dict[str, Any] = {
        **environment(("modernbert-retrieval", "torch", "scikit-learn", "numpy")),
        "corpus": "NCBI disease",
        "learnt": len(train),
        "test": len(test),
        "entities": sum(map(len, expected)),
        "tokens": args.tokens,
        "epochs": args.epochs,
        "seed": args.seed,
        "systems": {},
    }
    systems = {
        "dictionary": lambda: predict_by_dictionary(train, test),
        "regression": lambda: predict_by_regression(train, test),
        "probe": lambda: predict_by_model(train, test, args, 0),
        "fitted": lambda: predict_by_model(train, test, args, args.epochs),
    }
    for name, predict in systems.items():
        if args.only not in (None, name):
            continue
        predicted = [entities_of(*one) for one in zip(test.words, predict(), strict=True)]
        scores = {name: entity_f1(expected, predicted)}
        print(name, scores[name], flush=True)
        if args.out.exists():
            scores = json.loads(args.out.read_text())["systems"] | scores
        result["systems"] = {one: scores[one] for one in systems if one in scores}
        write_json(args.out, result)


def read_split(folder: Path, split: str, work: Path) -> Labelled:
    """The sentences of a split, converted to the JSON lines that `retrieval train` reads."""
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


def predict_by_dictionary(train: Labelled, test: Labelled) -> Tags:
    """Tags of the longest known name at each position, ignoring case."""
    known: dict[tuple[str, ...], str] = {}
    for words, spans, tags in zip(words_of(train), train.words, train.tags, strict=True):
        index_of = {start: position for position, (start, _) in enumerate(spans)}
        for entity in entities_of(spans, tags):
            first = index_of[entity.start]
            last = next(position for position, (_, end) in enumerate(spans) if end == entity.end)
            known[tuple(word.lower() for word in words[first : last + 1])] = entity.label
    predicted = []
    for words in words_of(test):
        lower = [word.lower() for word in words]
        tags = ["O"] * len(words)
        position = 0
        while position < len(words):
            lengths = range(min(_MAX_NAME_WORDS, len(words) - position), 0, -1)
            length = next((n for n in lengths if tuple(lower[position : position + n]) in known), 0)
            if length:
                label = known[tuple(lower[position : position + length])]
                tags[position : position + length] = [f"B-{label}", *[f"I-{label}"] * (length - 1)]
            position += length or 1
        predicted.append(tags)
    return predicted


def predict_by_regression(train: Labelled, test: Labelled) -> Tags:
    """Tags by logistic regression on features of each word."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    vectoriser = DictVectorizer()
    rows = vectoriser.fit_transform(
        [features for words in words_of(train) for features in _features(words)]
    )
    model = LogisticRegression(C=1.0, max_iter=200)
    model.fit(rows, [tag for tags in train.tags for tag in tags])
    return [
        model.predict(vectoriser.transform(_features(words))).tolist() for words in words_of(test)
    ]


def _features(words: list[str]) -> list[dict[str, str]]:
    """Features of each word: itself, its affixes and shape, and two neighbours on either side."""
    padded = ["<", "<", *(word.lower() for word in words), ">", ">"]
    return [
        {
            **{f"word{offset:+d}": padded[position + 2 + offset] for offset in range(-2, 3)},
            "end": word[-3:].lower(),
            "begin": word[:3].lower(),
            "shape": "".join("A" if c.isupper() else "0" if c.isdigit() else "a" for c in word[:6]),
        }
        for position, word in enumerate(words)
    ]


def predict_by_model(
    train: Labelled, test: Labelled, args: argparse.Namespace, epochs: float
) -> Tags:
    """Tags by the embedded model and a head; with no epochs the network is frozen."""
    from retrieval.encoders.classifier import load_classifier
    from retrieval.train.labelling import LabelOptions, fit_labels

    out = args.work / f"epochs-{epochs:g}"
    options = LabelOptions(epochs=epochs, max_tokens=args.tokens, seed=args.seed)
    if not (out / "training.json").exists():
        fit_labels(train, None, out, options=options)
    return load_classifier(out).tags(test.texts, test.words)


if __name__ == "__main__":
    run_main(main)
