"""`retrieval train`: what it prints, and one clear line for whatever cannot be trained."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval import Document, Index
from retrieval.cli.entry import run
from tests.index.fake_encoder import FakeEncoder
from tests.train import made_up

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    made_up.write_start(folder / "start")
    made_up.write_collection(folder / "small", documents=40, train=24, dev=8)
    return folder


@pytest.fixture
def train(
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """`retrieval train` where there is a small model, `start`, and a collection, `small`."""
    for name in ("start", "small"):
        shutil.copytree(models / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["train", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


SHORT = ("--from", "start", "--epochs", "1", "--batch", "8", "--negatives", "2")


def test_the_figures_before_and_after_are_printed(train: Command) -> None:
    code, out, err = train("small", "--out", "model", *SHORT)
    assert code == 0 and err == ""
    lines = out.splitlines()
    assert lines[0] == "small (8 queries of the dev split, 40 documents)"
    assert [line.split()[0] for line in lines[3:6]] == ["dense", "late", "hybrid"]
    assert all(len(line.split()) == 5 for line in lines[3:6])
    assert "24 training queries in 3 steps" in out
    assert ("--encoder model" in out) != ("contains the starting model" in out)
    assert run(["model", "info", "model"]) == 0


def test_the_report_as_json(train: Command) -> None:
    code, out, _ = train("small", "--out", "model", *SHORT, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["model"] == "model" and report["start"] == "start" and report["steps"] == 3
    assert set(report["before"]) == set(report["after"]) == {"dense", "late", "hybrid"}
    assert report["kept"] in ("trained", "start")


def test_a_model_that_got_no_better_is_said_to_be(
    train: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = {"late": {"nDCG@10": 0.5, "RR@10": 0.5}}
    monkeypatch.setattr("retrieval.train.adapt.measure", lambda *_, **__: figures)
    code, out, _ = train("small", "--out", "model", *SHORT)
    assert code == 0
    assert "training did not improve it: model contains the starting model start unchanged" in out


def test_ctrl_c_says_how_to_go_on(train: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("retrieval.train.adapt.mine", stop)
    code, _, err = train("small", "--out", "model", *SHORT)
    assert code == 130 and "run the same command to continue" in err


def test_without_torch_it_says_what_to_install(
    train: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else real(name)
    )
    code, _, err = train("small", "--out", "model")
    assert code == 1
    assert err == (
        "error: training needs torch, not installed: pip install 'modernbert-retrieval[train]'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--out", "model"), 2, "give one of DATA"),
        (("small", "--index", "small", "--out", "model"), 2, "give one of DATA"),
        (("small",), 2, "missing option '--out'"),
        (("nowhere", "--out", "model"), 2, "nowhere is not a folder"),
        (("start", "--out", "model"), 2, "no train split: qrels/ holds nothing"),
        (("small", "--out", "model", "--from", "small"), 1, "no config.json there"),
        (("small", "--out", "model", "--from", "nowhere/at/all"), 1, "no such folder"),
        (("small", "--out", "small", *SHORT), 2, "small is not empty"),
        (("small", "--out", "small/corpus.jsonl/model", *SHORT), 2, "cannot be written"),
        (("small", "--out", "model", "--epochs", "1", "--minutes", "1"), 2, "give one of them"),
        (("small", "--out", "model", "--minutes", "0"), 2, "--minutes 0 cannot be used"),
        (("small", "--out", "model", "--rate", "nan"), 2, "--rate nan cannot be used"),
        (("small", "--out", "model", *SHORT, "--device", "abacus"), 2, "cannot be used here"),
        (("--index", "nowhere", "--out", "model"), 1, "no index at nowhere"),
        (("small", "--out", "model", *SHORT, "--documents", "4"), 2, "to learn from"),
    ],
)
def test_wrong_input_is_one_clear_line(
    train: Command, arguments: tuple[str, ...], code: int, message: str
) -> None:
    found, out, err = train(*arguments)
    assert (found, out) == (code, "")
    assert message in err and err.startswith("error: ") and err.count("\n") == 1


def test_queries_without_text_and_too_few_pairs_are_refused(train: Command) -> None:
    queries = Path("small/queries.jsonl")
    lines = [json.loads(line) for line in queries.read_text().splitlines()]
    queries.write_text("".join(json.dumps({**line, "text": " "}) + "\n" for line in lines))
    code, _, err = train("small", "--out", "model", "--from", "start")
    assert code == 2 and "none of the 24 judged queries has a text" in err
    queries.write_text("".join(json.dumps(line) + "\n" for line in lines))
    qrels = Path("small/qrels/train.tsv")
    qrels.write_text("\n".join(qrels.read_text().splitlines()[:4]) + "\n")
    code, _, err = train("small", "--out", "model", "--from", "start")
    assert code == 2 and "3 queries to learn from, expected 8 or more" in err
    assert not Path("model").exists()


def test_an_index_of_another_encoder_is_refused(train: Command) -> None:
    made_up.write_start(Path("other"), seed=1)
    with Index.create("built", encoder="start") as index:
        index.add([Document("a", "zo1 zo2")])
    code, _, err = train("--index", "built", "--from", "other", "--out", "model")
    assert code == 1 and "was built with encoder 'start'" in err and "leave --from out" in err
    code, _, err = train("--index", "built", "--out", "model")
    assert code == 2 and "no titles, headings or docstrings" in err
    Index.create("object", encoder=FakeEncoder()).close()
    code, _, err = train("--index", "object", "--out", "model")
    assert code == 2 and "built with an Encoder object" in err
