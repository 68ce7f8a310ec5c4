"""Heads for labels: fitted, loaded and saved as transformers has them, used in an index."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from retrieval.cli.entry import run
from retrieval.encoders import classifier, tokenization
from retrieval.encoders.checkpoints import open_folder, read_checkpoint
from retrieval.encoders.checkpoints.classification import read, write
from retrieval.encoders.classifier import Classifier, load_classifier
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.label_head import LabelNetwork
from retrieval.encoders.model.modernbert import ModernBert
from retrieval.encoders.tag_sequence import likeliest_tags
from retrieval.encoders.words import Entity, entities_of, word_spans
from retrieval.errors import CheckpointError, InputError
from retrieval.index import Index
from retrieval.train import labelling
from retrieval.train.label_data import Labelled, divided, read_labelled
from retrieval.train.labelling import LabelOptions, LabelTrainer, fit_labels, measured
from retrieval.train.student import flatten
from tests.cli.test_models import write_model
from tests.encoders.random_models import TEXTS, modernbert, save_trunk, wordpiece

LABELS = ["birds", "locks", "other"]


def random_classifier(
    folder: Path, kind: type[transformers.PreTrainedModel], **changes: object
) -> transformers.PreTrainedModel:
    """A folder of transformers' with random weights, and its model."""
    names = ["O", "B-bird", "I-bird"] if "Token" in kind.__name__ else LABELS
    labels = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    model = modernbert(kind, **labels, **changes)
    model.save_pretrained(folder)
    wordpiece().save_pretrained(folder)
    return model


@torch.no_grad()
def theirs(model: transformers.PreTrainedModel, text: str) -> np.ndarray:
    inputs = wordpiece()(text, return_tensors="pt")
    logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
    return logits[0].float().numpy()


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("bias", [False, True])
def test_texts_get_the_logits_of_transformers(pooling: str, bias: bool, tmp_path: Path) -> None:
    kind = transformers.ModernBertForSequenceClassification
    settings = {"classifier_pooling": pooling, "classifier_bias": bias, "norm_bias": bias}
    model = random_classifier(tmp_path / "theirs", kind, **settings)
    ours = load_classifier(tmp_path / "theirs", device="cpu")
    assert ours.labels == tuple(LABELS) and not ours.by_token
    wanted = np.stack([theirs(model, text) for text in TEXTS])
    np.testing.assert_allclose(ours.logits(TEXTS), wanted, atol=2e-4)
    assert ours.labels_of(TEXTS) == [LABELS[at] for at in wanted.argmax(1)]
    np.testing.assert_allclose(ours.probabilities(TEXTS).sum(1), 1, rtol=1e-5)
    write(tmp_path / "ours", read(open_folder(tmp_path / "theirs")))
    again, report = kind.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert again.config.id2label == dict(enumerate(LABELS))
    for text in TEXTS:
        np.testing.assert_allclose(theirs(again.eval(), text), theirs(model, text), atol=1e-5)


def test_words_get_the_labels_of_transformers(tmp_path: Path) -> None:
    kind = transformers.ModernBertForTokenClassification
    model = random_classifier(tmp_path / "theirs", kind)
    ours = load_classifier(tmp_path / "theirs", device="cpu")
    write(tmp_path / "ours", read(open_folder(tmp_path / "theirs")))
    again = kind.from_pretrained(tmp_path / "ours").eval()
    for text in TEXTS:
        words = word_spans(text)
        encoded = wordpiece()(text, return_offsets_mapping=True)
        logits = theirs(model, text)
        np.testing.assert_allclose(theirs(again, text), logits, atol=1e-5)
        places = encoded["offset_mapping"]
        firsts = [
            next(i for i, (a, b) in enumerate(places) if a <= start < b) for start, _ in words
        ]
        wanted = likeliest_tags(logits[firsts], ours.labels)
        assert ours.tags([text], [words]) == [wanted]
        assert ours.entities([text]) == [entities_of(words, wanted)]


def test_words_beyond_the_longest_text_are_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what they are in is not tokenised: documents are labelled as they are."""
    given: list[str] = []

    def encode(tokenizer: Any, text: str) -> Any:
        given.append(text)
        return tokenization.encode(tokenizer, text)

    monkeypatch.setattr(classifier, "encode", encode)
    random_classifier(tmp_path, transformers.ModernBertForTokenClassification)
    config = json.loads((tmp_path / "config.json").read_text())
    config["id2label"] = {"0": "B-x", "1": "I-x", "2": "I-y"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    settings = {"model_max_length": 64}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    model = load_classifier(tmp_path, device="cpu")
    text = "the quick brown fox " * 20_000
    (tags,) = model.tags([text], [word_spans(text)])
    assert len(tags) == 80_000 and max(map(len, given)) < 50_000
    labelled = [at for at, tag in enumerate(tags) if tag != "O"]
    assert labelled == list(range(len(labelled))) and 10 < len(labelled) < 64


def test_what_is_no_such_classifier_is_refused_in_a_line(tmp_path: Path) -> None:
    save_trunk(tmp_path / "trunk")
    with pytest.raises(CheckpointError, match="a ModernBertModel, which gives no labels; expected"):
        load_classifier(tmp_path / "trunk")
    kind = transformers.ModernBertForSequenceClassification
    random_classifier(tmp_path / "many", kind, problem_type="multi_label_classification")
    with pytest.raises(CheckpointError, match="made for multi_label_classification; expected one"):
        load_classifier(tmp_path / "many")


BIRDS = ["a quick fox jumps over the dog", "the lazy dog jumps", "the brown fox"]
SEARCH = ["late interaction of vectors", "search the query", "query vectors of late search"]


def made_up(
    count: int, seed: int = 0, chosen: tuple[str, ...] = ("animals", "search")
) -> list[tuple[str, str]]:
    """Texts of two kinds of words, by label."""
    drawn = random.Random(seed)
    kinds = {
        "animals": ["fox", "dog", "jumps", "lazy", "brown"],
        "search": ["query", "vectors", "late", "of"],
    }
    rows = []
    for _ in range(count):
        label = drawn.choice(chosen)
        rows.append((" ".join(drawn.choices([*kinds[label], "the", "a"], k=6)), label))
    return rows


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)
    return path


@torch.no_grad()
def test_a_head_for_words_begins_with_all_that_a_vector_says() -> None:
    shape = ModernBertConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=16,
        num_layers=1,
        num_heads=1,
        layer_kinds=("global",),
    )
    network = LabelNetwork(ModernBert(shape), 3, pooling=None)
    network.initialise_head(seed=0)
    hidden = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    made = network.head["norm"](network.activation(network.head["dense"](hidden)))
    same = torch.cosine_similarity(made, torch.nn.functional.layer_norm(hidden, (16,)))
    assert same.min() > 0.98  # of what is negative, too


@pytest.mark.parametrize(("by_word", "default"), [(False, 2e-4), (True, 1e-3)])
def test_words_are_learnt_faster_than_texts(
    by_word: bool, default: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rates: list[float] = []

    class Noted(LabelTrainer):
        def run(self, *arguments: Any, **named: Any) -> Any:
            rates.append(self._rate)
            return super().run(*arguments, **named)

    monkeypatch.setattr(labelling, "LabelTrainer", Noted)
    save_trunk(tmp_path / "start")
    texts, words = ("the fox", "the dog"), (((0, 3), (4, 7)),) * 2
    data = Labelled("data", texts, labels=("fox", "dog"))
    if by_word:
        data = Labelled("data", texts, words=words, tags=(("O", "B-fox"), ("O", "B-dog")))
    for rate in (None, 3e-3):
        options = LabelOptions(epochs=1, rate=rate, max_tokens=16)
        fit_labels(data, None, tmp_path / str(rate), start=tmp_path / "start", options=options)
    assert rates == [default, 3e-3]


OPTIONS = LabelOptions(epochs=6, batch=8, rate=2e-3, max_tokens=32)


@pytest.mark.parametrize("start", ["own", "transformers"])
def test_a_classifier_is_fitted_to_any_modernbert(start: str, tmp_path: Path) -> None:
    """The embedded model's format, whose weights are int8, and that of transformers."""
    if start == "own":
        write_model(tmp_path / "start")
    else:
        save_trunk(tmp_path / "start")
    learnt, held_out = divided(read_labelled(write_csv(tmp_path / "d.csv", made_up(160))), 0.2, 0)
    report = fit_labels(
        learnt, held_out, tmp_path / "out", start=tmp_path / "start", options=OPTIONS
    )
    assert report.figures["accuracy"] > 0.9 and report.figures["macro_f1"] > 0.9
    classifier = load_classifier(tmp_path / "out")
    assert classifier.labels_of([BIRDS[0], SEARCH[2]]) == ["animals", "search"]
    assert measured(classifier, held_out) == pytest.approx(report.figures)
    assert not (tmp_path / "out" / ".training").exists()
    model = transformers.ModernBertForSequenceClassification.from_pretrained(tmp_path / "out")
    np.testing.assert_allclose(
        theirs(model.eval(), SEARCH[0]), classifier.logits(SEARCH[:1])[0], atol=2e-4
    )


def test_entities_are_learnt(tmp_path: Path) -> None:
    save_trunk(tmp_path / "start")
    drawn = random.Random(1)
    rows = []
    for _ in range(150):
        words = drawn.choices(["fox", "dog", "search", "late", "the", "of"], k=6)
        text, entities = " ".join(words), []
        for at, word in enumerate(words):
            if word in ("fox", "dog"):
                start = len(" ".join(words[:at])) + (at > 0)
                entities.append({"start": start, "end": start + 3, "label": "animal"})
        rows.append({"text": text, "entities": entities})
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    learnt, held_out = divided(read_labelled(path), 0.2, 0)
    report = fit_labels(
        learnt, held_out, tmp_path / "out", start=tmp_path / "start", options=OPTIONS
    )
    assert report.kind == "entities" and report.figures["f1"] > 0.9
    (found,) = load_classifier(tmp_path / "out").entities(["search the fox of late dog"])
    assert found == [Entity(11, 14, "animal"), Entity(23, 26, "animal")]


def test_the_last_map_is_fitted_first_and_alone_without_epochs(tmp_path: Path) -> None:
    """As scikit-learn's logistic regression on what is before it; all other weights stay."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    save_trunk(tmp_path / "start")
    rows = made_up(60) + [(f"{'the a ' * n}the", "neither") for n in range(1, 9)]
    data = read_labelled(write_csv(tmp_path / "d.csv", rows))
    options = LabelOptions(epochs=0, max_tokens=32)
    report = fit_labels(data, None, tmp_path / "out", start=tmp_path / "start", options=options)
    assert report.steps == 0 and not report.losses
    network = read(open_folder(tmp_path / "out")).network
    start = read_checkpoint(open_folder(tmp_path / "start")).network.trunk.state_dict()
    for name, weight in network.model.state_dict().items():
        torch.testing.assert_close(weight, start[name])
    reader = load_classifier(tmp_path / "out", device="cpu")
    ids = [sequence.ids for sequence in reader._reader.read(data.texts)]
    with torch.no_grad():
        features = network.eval().features(*flatten(ids)).numpy()
    theirs = linear_model.LogisticRegression(C=1.0, max_iter=2000, tol=1e-8)
    theirs.fit(features, data.labels)
    order = [list(theirs.classes_).index(label) for label in reader.labels]
    np.testing.assert_allclose(
        reader.probabilities(data.texts), theirs.predict_proba(features)[:, order], atol=5e-3
    )


def test_a_linear_probe_of_words(tmp_path: Path) -> None:
    save_trunk(tmp_path / "start")
    rows = [
        {"tokens": ["the", word, "search"], "tags": ["O", "B-bird" if word == "fox" else "O", "O"]}
        for word in ["fox", "dog"] * 10
    ]
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = LabelOptions(epochs=0, max_tokens=16)
    fit_labels(
        read_labelled(path), None, tmp_path / "out", start=tmp_path / "start", options=options
    )
    (found,) = load_classifier(tmp_path / "out").entities(["the fox search"])
    assert found == [Entity(4, 7, "bird")]


def test_a_rare_label_is_not_lost_in_a_few_steps(tmp_path: Path) -> None:
    save_trunk(tmp_path / "start")
    frequent = made_up(120, chosen=("animals",))
    rows = [*frequent, *made_up(8, chosen=("search",))]
    data = read_labelled(write_csv(tmp_path / "d.csv", rows))
    options = LabelOptions(epochs=0.3, batch=8, rate=1e-4, max_tokens=32)
    fit_labels(data, None, tmp_path / "out", start=tmp_path / "start", options=options)
    assert measured(load_classifier(tmp_path / "out"), data)["macro_f1"] > 0.9


@pytest.mark.parametrize(
    ("texts", "epochs", "steps"),
    [(160, None, 200), (960, None, 600), (8_000, None, 1_500), (960, 3.0, 180), (960, 0.0, 0)],
)
def test_few_texts_are_seen_more_often(texts: int, epochs: float | None, steps: int) -> None:
    options = LabelOptions(epochs=epochs, batch=16)
    assert labelling._steps(None, texts, options) == steps  # type: ignore[arg-type]


def test_a_run_that_was_stopped_goes_on_as_if_it_were_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_trunk(tmp_path / "start")
    data = read_labelled(write_csv(tmp_path / "d.csv", made_up(40)))
    options = LabelOptions(epochs=4, batch=8, rate=1e-3, max_tokens=32, checkpoint_seconds=0)
    whole = fit_labels(data, None, tmp_path / "whole", start=tmp_path / "start", options=options)

    class StopError(Exception):
        pass

    def stop(now: object) -> None:
        if getattr(now, "done", 0) == 7:
            raise StopError

    arguments = {"start": tmp_path / "start", "options": options}
    with pytest.raises(StopError):
        fit_labels(data, None, tmp_path / "part", progress=stop, **arguments)
    report = fit_labels(data, None, tmp_path / "part", **arguments)
    assert report.steps == whole.steps == 20
    first, second = (load_classifier(tmp_path / name) for name in ("whole", "part"))
    np.testing.assert_allclose(first.logits(BIRDS), second.logits(BIRDS), atol=1e-5)


def test_one_label_is_none_to_learn(tmp_path: Path) -> None:
    data = Labelled("d", ("a", "b"), ("x", "x"))
    with pytest.raises(InputError, match="has one label, 'x'; expected at least two labels"):
        fit_labels(data, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_classifier_labels_what_is_indexed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command line: train, index with --label, filter; again with another classifier."""
    save_trunk(tmp_path / "start")
    write_csv(tmp_path / "d.csv", made_up(160))
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "d.csv", "--out", "kinds", "--from", "start", "--epochs", "6"]
    probe = ["train", "d.csv", "--out", "probe", "--from", "start", "--epochs", "0", "--json"]
    assert run(probe) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 0
    assert run([*arguments, "--rate", "2e-3", "--passage-tokens", "32"]) == 0
    said = capsys.readouterr().out
    assert "2 labels: " in said and "accuracy" in said and "--label kinds:FIELD" in said
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text(BIRDS[0])
    (notes / "b.txt").write_text(SEARCH[2])
    assert run(["index", "notes", "--label", "kinds:kind"]) == 0
    with Index.open(".retrieval") as index:
        assert index.get("notes/a.txt").metadata["kind"] == "animals"
        assert index.ids(where='kind == "search"') == ["notes/b.txt"]
    (notes / "c.txt").write_text(SEARCH[0])
    capsys.readouterr()
    assert run(["index", "--json"]) == 0  # the index remembers it
    assert json.loads(capsys.readouterr().out)["unchanged"] == 2
    with Index.open(".retrieval") as index:
        assert index.ids(where='kind == "search"') == ["notes/b.txt", "notes/c.txt"]
    assert run(["index", "--label", ""]) == 0
    with Index.open(".retrieval") as index:
        assert "kind" not in index.get("notes/a.txt").metadata
    assert run(["index", "--label", "nowhere:kind"]) == 2
    assert "there is no folder nowhere; give a classifier's" in capsys.readouterr().err
    assert run(["index", "--label", "kinds:kind"]) == 0
    (tmp_path / "kinds").rename(tmp_path / "gone")
    (notes / "d.txt").write_text(SEARCH[1])
    assert run(["index"]) == 1
    assert "is gone; give it again as --label MODEL:kind" in capsys.readouterr().err


def test_entities_go_into_the_metadata_by_label(tmp_path: Path) -> None:
    from retrieval.sync.labels import Labeller, parse
    from retrieval.types import Document

    random_classifier(tmp_path / "model", transformers.ModernBertForTokenClassification)
    (labelled,) = Labeller([parse(f"{tmp_path / 'model'}:found")]).label(
        [Document("d", "the quick brown fox", metadata={"year": 2024})]
    )
    classifier: Classifier = load_classifier(tmp_path / "model")
    (entities,) = classifier.entities(["the quick brown fox"])
    words = [labelled.text[one.start : one.end] for one in entities]
    wanted = {"bird": list(dict.fromkeys(words))} if words else {}
    assert labelled.metadata == {"year": 2024, "found": wanted}
