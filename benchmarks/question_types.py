"""Which type of question a text answers: a fitted classifier, a linear probe, a bag of words.

    python benchmarks/question_types.py MEDQUAD --work FOLDER --out FILE.json

MEDQUAD is the collection in BEIR's format, with `qrels/train.tsv` and `qrels/test.tsv`. Its
questions are written from templates, one for each type ("What are the symptoms of ..."). An answer
has the type of its question, which the classifiers do not see. Training texts are drawn from the
train split, and all of the test split is measured. Texts that answer questions of several types or
of both splits are left out.

    fitted        the embedded model and a head, trained together (`retrieval train FILE.jsonl`)
    probe         logistic regression on the embedded model's dense vectors, which are frozen
    bag of words  logistic regression on tf-idf of words and pairs of words

The regressions' penalty is chosen on a tenth of the training texts.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from command import run_main
from environment import environment
from json_files import write_json

from retrieval.encoders import load_encoder
from retrieval.encoders.tokenization import leading, load_tokenizer
from retrieval.errors import InputError
from retrieval.eval.labels import accuracy, macro_f1
from retrieval.train.label_data import Labelled, divided
from retrieval.train.labelling import LabelOptions, fit_labels

TYPES = {
    "information": r"what is \(are\)",
    "symptoms": r"what are the symptoms of",
    "treatment": r"what are the treatments for",
    "inheritance": r"is .* inherited",
    "frequency": r"how many people are affected",
    "genetic changes": r"what are the genetic changes",
    "causes": r"what causes",
    "diagnosis": r"how to diagnose",
    "research": r"what research \(or clinical trials\)",
    "outlook": r"what is the outlook",
    "susceptibility": r"who is at risk",
    "brand names": r"do you have information about",
    "considerations": r"what to do for",
    "prevention": r"how to prevent",
    "stages": r"what are the stages of",
    "complications": r"what are the complications of",
}
INVERSE_PENALTIES = (0.1, 1.0, 10.0, 100.0)


def main() -> None:
    """Predict by every system, and write their scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("medquad", type=Path)
    parser.add_argument("--texts", type=int, default=4000, help="learnt from, at most")
    parser.add_argument("--tokens", type=int, default=128, help="read of a text")
    parser.add_argument("--epochs", type=float, help="as `retrieval train` has it, if not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    train, test = read_splits(args.medquad)
    if len(train) > args.texts:
        _, train = divided(train, args.texts / len(train), args.seed)
    tokenizer = load_tokenizer(_embedded_folder() / "tokenizer.json")
    train_texts = [truncate(tokenizer, text, args.tokens) for text in train.texts]
    test_texts = [truncate(tokenizer, text, args.tokens) for text in test.texts]
    result: dict[str, Any] = {
        **environment(("modernbert-retrieval", "torch", "scikit-learn", "numpy")),
        "collection": args.medquad.name,
        "learnt": len(train),
        "test": len(test),
        "tokens": args.tokens,
        "epochs": args.epochs,
        "seed": args.seed,
        "types": dict(Counter(test.labels).most_common()),
        "systems": {},
    }
    most_frequent = Counter(train.labels).most_common(1)[0][0]
    systems = {
        "most frequent": lambda: [most_frequent] * len(test),
        "bag of words": lambda: predict_by_words(train_texts, train.labels, test_texts, args.seed),
        "probe": lambda: predict_by_probe(train_texts, train.labels, test_texts, args.seed),
        "fitted": lambda: predict_by_model(train, test, args),
    }
    for name, predict in systems.items():
        predicted = predict()
        result["systems"][name] = {
            "accuracy": accuracy(test.labels, predicted),
            "macro_f1": macro_f1(test.labels, predicted),
        }
        print(name, result["systems"][name], flush=True)
    write_json(args.out, result)


def read_splits(folder: Path) -> tuple[Labelled, Labelled]:
    """The answers of the train and of the test split, labelled with their question's type."""
    queries = {row["_id"]: row["text"] for row in _read_jsonl(folder / "queries.jsonl")}
    texts = {row["_id"]: row["text"] for row in _read_jsonl(folder / "corpus.jsonl")}
    types: dict[str, set[str | None]] = {}
    splits: dict[str, set[str]] = {}
    for split in ("train", "test"):
        for line in (folder / "qrels" / f"{split}.tsv").read_text().splitlines()[1:]:
            query, document, grade = line.split("\t")
            if int(grade) > 0:
                types.setdefault(document, set()).add(type_of(queries[query]))
                splits.setdefault(document, set()).add(split)
    parts = []
    for split in ("train", "test"):
        labelled = [
            (texts[document], next(iter(document_types)))
            for document, document_types in types.items()
            if len(document_types) == 1
            and None not in document_types
            and splits[document] == {split}
        ]
        if not labelled:
            raise InputError(f"{folder}: no answers of one type in the {split} split")
        parts.append(
            Labelled(split, tuple(t for t, _ in labelled), tuple(str(y) for _, y in labelled))
        )
    return parts[0], parts[1]


def type_of(question: str) -> str | None:
    """The type of a question by its template; None if it has none."""
    return next(
        (name for name, template in TYPES.items() if re.match(template, question, re.I)), None
    )


def predict_by_words(
    texts: list[str], labels: tuple[str, ...], test: list[str], seed: int
) -> list[str]:
    """Logistic regression on tf-idf."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectoriser = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    return predict_by_regression(
        vectoriser.fit_transform(texts), labels, vectoriser.transform(test), seed
    )


def predict_by_probe(
    texts: list[str], labels: tuple[str, ...], test: list[str], seed: int
) -> list[str]:
    """Logistic regression on dense vectors."""
    encoder = load_encoder()
    vectors = [encoder.encode_documents(split).dense for split in (texts, test)]
    return predict_by_regression(vectors[0], labels, vectors[1], seed)


def predict_by_regression(train: Any, labels: tuple[str, ...], test: Any, seed: int) -> list[str]:
    """Logistic regression, with the penalty chosen on a held-out tenth."""
    from sklearn.linear_model import LogisticRegression

    order = np.random.default_rng(seed).permutation(len(labels))
    held_out, rest = order[: len(order) // 10], order[len(order) // 10 :]
    label_array = np.array(labels)

    def fit(penalty: float, rows: Any) -> Any:
        return LogisticRegression(C=penalty, max_iter=2000).fit(train[rows], label_array[rows])

    best = max(
        INVERSE_PENALTIES,
        key=lambda penalty: fit(penalty, rest).score(train[held_out], label_array[held_out]),
    )
    predicted: list[str] = fit(best, order).predict(test).tolist()
    return predicted


def predict_by_model(train: Labelled, test: Labelled, args: argparse.Namespace) -> list[str]:
    """The embedded model with a head, trained together."""
    from retrieval.encoders.classifier import load_classifier

    options = LabelOptions(epochs=args.epochs, max_tokens=args.tokens, seed=args.seed)
    if not (args.work / "training.json").exists():
        fit_labels(train, None, args.work, options=options)
    return load_classifier(args.work).labels_of(test.texts)


def truncate(tokenizer: Any, text: str, tokens: int) -> str:
    """The text's first tokens, two fewer than given for the special ones."""
    beginning = leading(tokenizer, text, tokens)
    offsets = tokenizer.encode(beginning, add_special_tokens=False).offsets[: tokens - 2]
    return beginning[: offsets[-1][1]] if offsets else ""


def _embedded_folder() -> Path:
    from retrieval.encoders.embedded import embedded_folder

    return embedded_folder()


def _read_jsonl(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    run_main(main)
