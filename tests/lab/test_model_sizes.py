"""The recipe that trains several sizes, and the benchmark that measures and draws them."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from lab.recipes import model_sizes
from retrieval.encoders.loading import load_encoder
from retrieval.encoders.runtimes.torch import TorchEncoder
from retrieval.eval import evaluate, make_systems
from retrieval.train.student import Student
from tests.train.made_up import ASKED, FILLERS, TOLD, tokenizer, write_collection, write_start

ROOT = Path(__file__).parents[2]
TOKENS = 9000


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    own = tokenizer()
    shape = BertConfig(
        vocab_size=own.get_vocab_size(),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        initializer_range=0.2,
    )
    BertModel(shape).save_pretrained(folder)
    own.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    words = [*TOLD, *ASKED, *FILLERS]
    rows = [
        {"text": " ".join(rng.choice(words, 70)), "query": " ".join(rng.choice(ASKED, 3))}
        for _ in range(60)
    ]
    file = tmp_path_factory.mktemp("text") / "texts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def recipe() -> ModuleType:
    return model_sizes


def imported(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark, which its neighbours stand beside."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("model_sizes")


def test_shapes_take_turns_and_go_on_where_they_were_stopped(
    recipe: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    teacher: Path,
    text: Path,
    tmp_path: Path,
) -> None:
    given = ["--teacher", str(teacher), "--out", str(tmp_path), "--tokens", str(TOKENS)]
    given += ["--shapes", "2x64", "3x128", "--shares", "0.5", "1", "--threads", "1"]
    assert recipe.main([*given, "--text", str(text)]) == 0
    begun = [line for line in capsys.readouterr().out.splitlines() if ": to " in line]
    assert [line.partition(":")[0] for line in begun] == ["2x64", "3x128"] * 2
    for shape in ("2x64", "3x128"):
        half, whole = (
            json.loads((tmp_path / shape / name / "training.json").read_text())
            for name in ("4500", "9000")
        )
        assert 4500 <= half["tokens"] < 9000 <= whole["tokens"]
        assert (half["decayed"], whole["decayed"]) == (False, True)


def test_models_are_measured_and_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    benchmark = imported(monkeypatch)
    (tmp_path / "runs" / "2x64").mkdir(parents=True)
    for seen, decayed in ((500, False), (1000, True)):
        folder = write_start(tmp_path / "runs" / "2x64" / str(seen), seed=seen)
        facts = {"tokens": seen, "decayed": decayed}
        (folder / "training.json").write_text(json.dumps(facts))
    other = write_start(tmp_path / "other", seed=3, layers=3)
    collection = write_collection(tmp_path / "made-up", documents=20, train=8, dev=8)
    (collection / "qrels" / "dev.tsv").rename(collection / "qrels" / "test.tsv")
    results, work = tmp_path / "results.json", tmp_path / "work"
    given = ["--results", str(results), "--pictures", str(tmp_path), "--work", str(work)]
    given += ["--runs", str(tmp_path / "runs"), "--also", f"{other}=3000", "--queries", "5"]
    given += ["--collections", str(collection), "--tokens", "300", "--rounds", "2"]
    with monkeypatch.context() as without_torch:  # what is timed is what users' indexing runs on
        without_torch.delattr(TorchEncoder, "_run")
        assert benchmark.main(["speed", *given]) == 0
    timed = json.loads(results.read_text())["speed"]
    assert benchmark.main(["evaluate", *given]) == 0
    assert json.loads(results.read_text())["speed"] == timed
    assert benchmark.main(["draw", *given]) == 0

    said = json.loads(results.read_text())
    assert {"machine", "versions", "commit"} <= timed.keys()
    assert timed["passages_of"] == ["made-up"] and timed["passages"] > 1
    # Speed is a size's, whatever it has learnt: the last model of each name is timed.
    assert [(r["name"], r["tokens_seen"]) for r in timed["rows"]] == [
        ("2x64", 1000),
        ("other", 3000),
    ]
    for row in timed["rows"]:
        assert len(row["rounds"]) == 2 and min(row["rounds"]) > 0
        assert min(row["rounds"]) <= row["tokens_per_s"] <= max(row["rounds"])
    assert {"machine", "versions", "commit"} <= said.keys()
    rows = {(r["name"], r["tokens_seen"], r["retriever"]): r for r in said["rows"]}
    assert len(rows) == len(said["rows"]) == 6
    one = rows["2x64", 500, "late"]
    assert (one["shape"], one["layers"], one["hidden"], one["decayed"]) == ("2x64", 2, 64, False)
    assert one["queries"] == 5 and one["collection"] == "made-up" and "tokens_per_s" not in one
    student = Student.from_folder(other)
    assert rows["other", 3000, "dense"]["parameters"] == sum(
        parameter.numel() for parameter in student.parameters()
    )
    again = evaluate(
        [str(collection)],
        make_systems([], [f"late:encoder={other}"]),
        tmp_path / "again",
        measures=["nDCG@10"],
        queries=5,
    )
    assert rows["other", 3000, "late"]["ndcg_at_10"] == pytest.approx(again.rows[0].value, abs=1e-4)

    for name, marks in (("model-learning.svg", 2 * 3 + 2), ("model-speed.svg", 2 * 2 + 2)):
        picture = ElementTree.fromstring((tmp_path / name).read_text())
        circles = picture.findall(".//{http://www.w3.org/2000/svg}circle")
        assert len(circles) == marks
        hollow = [circle for circle in circles if circle.get("class") == "mark"]
        assert len(hollow) == (2 if "learning" in name else 0)


def test_speeds_are_asked_for_where_there_are_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    benchmark = imported(monkeypatch)
    facts = {"name": "2x64", "tokens_seen": 500, "decayed": True, "collection": "made-up"}
    rows = [facts | {"retriever": "late", "ndcg_at_10": 0.5}]
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"rows": rows}))
    with pytest.raises(SystemExit, match="take the step speed"):
        benchmark.main(["draw", "--results", str(results), "--pictures", str(tmp_path)])


def test_a_speed_is_tokens_by_the_time_they_took(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    benchmark = imported(monkeypatch)
    clock = iter([10.0, 12.0])
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: next(clock))
    encoder = load_encoder(write_start(tmp_path / "model"))
    texts = [f"{TOLD[0]} {FILLERS[0]}", FILLERS[1]]
    tokens = sum(len(encoder.token_spans(text)) + 2 for text in texts)  # marks around each
    assert benchmark._tokens_per_second(encoder, texts) == pytest.approx(tokens / 2)


def test_a_chart_puts_values_where_its_scales_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    chart = importlib.import_module("chart")
    points = [chart.Point(x, y) for x, y in ((1.0, 0.3), (10.0, 0.4), (100.0, 0.5))]
    panel = chart.Panel("dense", "x", "y", [chart.Series("a <b>", points)])
    picture = ElementTree.fromstring(chart.line_chart([panel]))
    (line,) = picture.iter("{http://www.w3.org/2000/svg}polyline")
    places = [tuple(map(float, pair.split(","))) for pair in line.get("points", "").split()]
    (x0, y0), (x1, y1), (x2, y2) = places
    # Even steps of the logarithm and of the value; up is less in SVG.
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2) and x1 > x0
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2) and y0 > y1
    scale = chart.Scale.of(points)
    assert scale.x_ticks() == [1, 2, 5, 10, 20, 50, 100]
    assert scale.y_ticks() == [0.3, 0.35, 0.4, 0.45, 0.5]
    said = "".join(picture.itertext())
    assert "a <b> 0.300 at 1" in said
    with pytest.raises(ValueError, match="nothing to draw"):
        chart.line_chart([])
