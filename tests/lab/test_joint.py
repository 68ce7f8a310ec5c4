"""Several encoders as one geometry, and a student that learns it without forgetting its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lab.distillation.joint import (
    JointConfig,
    relations_loss,
    train_jointly,
    window_vectors,
)
from lab.distillation.joint_targets import (
    TeacherVectors,
    best_windows,
    combine_teachers,
    is_recalled,
    nearest,
)
from lab.distillation.joint_text import (
    CONTEXT_TOKENS,
    JointText,
    load_joint_text,
    read_with_teachers,
    save_joint_text,
    split_windows,
)
from lab.distillation.onnx_teacher import OnnxTeacher
from lab.recipes import joint_teachers
from retrieval.encoders import load_encoder
from retrieval.encoders.sides import window_lengths
from retrieval.errors import CheckpointError, InputError
from retrieval.train.student import Student, flatten
from retrieval.train.teacher_cache import TeacherCache
from tests.index.fake_encoder import FakeEncoder
from tests.lab.distillation_samples import WIDTH, corpus, student
from tests.train.made_up import ASKED, FILLERS, TOLD, tokenizer, write_start

FEW = JointConfig(
    steps=12, pairs=8, cluster=4, alone=4, window=8, long_every=4, long_tokens=200, muon=1e-2
)


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def drawn(count: int, width: int, seed: int) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).normal(size=(count, width)))


def test_an_encoder_that_is_another_turned_adds_nothing_new() -> None:
    texts, queries = drawn(400, 16, 0), drawn(200, 16, 1)
    texts, queries = (unit(rows - rows.mean(0)) for rows in (texts, queries))
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(24, 24)))[0][:16]
    other = TeacherVectors(
        (texts @ turn).astype(np.float32), (queries @ turn).astype(np.float32), 3.0
    )
    made = combine_teachers([TeacherVectors(texts, queries), other])
    np.testing.assert_allclose(made.texts, texts, atol=5e-3)
    np.testing.assert_allclose(made.queries, queries, atol=5e-3)
    wanted = texts @ queries.T
    np.testing.assert_allclose(
        made.text_sides.astype(np.float32) @ made.query_sides.astype(np.float32).T,
        wanted,
        atol=1e-2,
    )


def test_sides_have_the_weighted_mean_of_the_cosines_and_a_narrow_cone_is_opened() -> None:
    first = TeacherVectors(drawn(300, 8, 0), drawn(100, 8, 1), 1.0)
    cone = [unit(drawn(count, 12, seed) + 5.0) for count, seed in ((300, 2), (100, 3))]
    made = combine_teachers([first, TeacherVectors(cone[0], cone[1], 3.0)])
    opened = [unit(rows - rows.mean(0)) for rows in cone]
    wanted = (first.texts @ first.queries.T + 3 * opened[0] @ opened[1].T) / 4
    found = made.text_sides.astype(np.float32) @ made.query_sides.astype(np.float32).T
    np.testing.assert_allclose(found, wanted, atol=1e-2)
    assert made.texts.shape == (300, 8) and made.text_sides.shape == (300, 20)
    np.testing.assert_allclose(np.linalg.norm(made.texts.astype(np.float32), axis=1), 1, atol=2e-3)


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ([], "expected one at least"),
        ([TeacherVectors(drawn(4, 2, 0), drawn(2, 2, 0), 0.0)], "above 0"),
        (
            [
                TeacherVectors(drawn(4, 2, 0), drawn(2, 2, 0)),
                TeacherVectors(drawn(5, 2, 0), drawn(2, 2, 0)),
            ],
            "not read the same",
        ),
    ],
)
def test_encoders_that_do_not_go_together_are_refused(
    read: list[TeacherVectors], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        combine_teachers(read)


def test_the_nearest_are_others_and_repetitions_come_last() -> None:
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.001], [0.8, 0.6], [0.0, 1.0]])
    found = nearest(F.normalize(rows, dim=1), 3)
    assert found.tolist() == [[2, 3, 1], [2, 3, 0], [1, 0, 3], [2, 1, 0]]


def test_a_text_counts_by_its_best_window() -> None:
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    windows = torch.tensor([[0.2, 0.9], [0.7, 0.1], [0.5, 0.3]])
    owner = torch.tensor([0, 0, 1])
    found = best_windows(queries, windows, owner, 2)
    torch.testing.assert_close(found, torch.tensor([[0.7, 0.5], [0.9, 0.3]]))
    again = is_recalled(queries, windows, owner, np.array([1, 0]), among=1)
    assert again.tolist() == [False, True]


def test_teachers_read_every_word_below_the_beginning() -> None:
    texts = corpus()
    numbers = np.flatnonzero(texts.lengths > 20)
    windows = split_windows(texts, numbers, 8)
    for at, number in enumerate(numbers.tolist()):
        own = windows.ids[windows.first[at] : windows.first[at + 1]]
        inner = texts[number][1:-1]
        assert len(own) == len(window_lengths(len(inner) + 2, 8))
        read, begun = list(own[0][1:-1]), own[0][1:-1]
        for later in own[1:]:
            above = min(CONTEXT_TOKENS, len(read))
            np.testing.assert_array_equal(later[1 : 1 + above][: len(begun)], begun[:above])
            read += list(later[1 + above : -1])
        assert read == inner.tolist()
    assert (
        windows.owner.tolist()
        == np.repeat(np.arange(len(numbers)), np.diff(windows.first)).tolist()
    )


def test_window_vectors_are_means_of_the_tokens() -> None:
    hidden = torch.randn(27, 6, generator=torch.Generator().manual_seed(0))
    found, owner = window_vectors(hidden, [20, 7], 8)
    parts = [hidden[0:7], hidden[7:14], hidden[14:20], hidden[20:27]]
    wanted = F.normalize(torch.stack([part.mean(0) for part in parts]), dim=1)
    torch.testing.assert_close(found, wanted)
    assert owner.tolist() == [0, 0, 0, 1]


def test_relations_are_learnt_from_whatever_axes_they_have() -> None:
    rows = torch.from_numpy(drawn(20, 8, 0))
    turned = rows @ torch.from_numpy(np.linalg.qr(drawn(8, 8, 1))[0])
    assert float(relations_loss(rows, turned, 0.05)) == pytest.approx(0, abs=1e-5)
    other = torch.from_numpy(drawn(20, 8, 2))
    assert float(relations_loss(rows, other, 0.05)) > 1


@pytest.fixture
def text(tmp_path: Path) -> JointText:
    teachers = [
        (TeacherCache(FakeEncoder(WIDTH), tmp_path / "vectors"), 1.0),
        (TeacherCache(FakeEncoder(24), tmp_path / "vectors"), 0.5),
    ]
    return read_with_teachers(corpus(), tokenizer(), teachers, window=8, alone=20)


def learnt(
    text: JointText, config: JointConfig, folder: Path
) -> tuple[Student, list[dict[str, float]]]:
    figures: list[dict[str, float]] = []
    made = train_jointly(student(), corpus(), text, config, folder, log=figures.append)
    return made, figures


def distance(model: Student, text: JointText) -> float:
    """Mean cosine distance of windows and their targets."""
    texts = corpus()
    rows = [texts[number] for number in text.texts.tolist()]
    ids, layout = flatten(rows)
    with torch.no_grad():
        windows, _ = window_vectors(model(ids, layout).hidden, [len(row) for row in rows], 8)
    wanted = torch.from_numpy(text.targets.texts).float()
    return float(1 - (windows * wanted).sum(1).mean())


def test_windows_come_nearer_to_their_targets(text: JointText, tmp_path: Path) -> None:
    made, _ = learnt(text, replace(FEW, steps=60, adam=5e-3), tmp_path / "run")
    assert distance(made, text) < 0.8 * distance(student(), text)


def test_held_to_what_it_was_the_token_head_moves_less(text: JointText, tmp_path: Path) -> None:
    texts = corpus()
    ids, layout = flatten([texts[number] for number in range(8)])

    def moved(model: Student) -> float:
        with torch.no_grad():
            own, before = (one(ids, layout).tokens for one in (model, student()))
        return float(1 - (own * before).sum(1).mean())

    fast = replace(FEW, steps=30, adam=5e-3)
    held, _ = learnt(text, replace(fast, anchor=50.0, long_anchor=50.0), tmp_path / "held")
    free, _ = learnt(text, replace(fast, anchor=0.0, long_anchor=0.0), tmp_path / "free")
    assert moved(held) < 0.5 * moved(free)


def test_a_run_that_stopped_goes_on_as_if_it_had_not(text: JointText, tmp_path: Path) -> None:
    whole, _ = learnt(text, FEW, tmp_path / "whole")
    config = replace(FEW, checkpoint_seconds=0.0)
    train_jointly(student(), corpus(), text, config, tmp_path / "part", deadline=0.0)
    resumed, figures = learnt(text, FEW, tmp_path / "part")
    assert [one["step"] for one in figures] == [10]
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, atol=1e-5, rtol=1e-4)
    with pytest.raises(CheckpointError, match="other settings"):
        learnt(text, replace(FEW, adam=1e-3), tmp_path / "part")


def test_what_teachers_made_is_kept(text: JointText, tmp_path: Path) -> None:
    save_joint_text(tmp_path / "joint.npz", text, {"seed": 1})
    again = load_joint_text(tmp_path / "joint.npz", {"seed": 1})
    np.testing.assert_array_equal(again.near, text.near)
    np.testing.assert_array_equal(again.targets.text_sides, text.targets.text_sides)
    (tmp_path / "joint.npz").write_bytes(b"damaged")
    with pytest.raises(InputError, match="remove it to make it anew"):
        load_joint_text(tmp_path / "joint.npz", {"seed": 1})


def test_too_few_pairs_and_other_widths_are_said(text: JointText, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected at least the 500 of a step"):
        learnt(text, replace(FEW, pairs=500), tmp_path)
    with pytest.raises(InputError, match="of 32 dimensions, expected the student's 48"):
        wide = Student(student().config, dense_dim=48, tokens=16)
        train_jointly(wide, corpus(), text, FEW, tmp_path)
    with pytest.raises(InputError, match="no dense vectors"):
        late = TeacherCache(FakeEncoder(dense_dim=None), tmp_path)
        read_with_teachers(corpus(), tokenizer(), [(late, 1.0)], window=8)


def write_graph(folder: Path, table: NDArray[np.float32]) -> Path:
    """Hidden vectors: a token's own row and the sum of the rows of its text."""
    folder.mkdir()
    tokenizer().save(str(folder / "tokenizer.json"))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "l"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["n", "l", table.shape[1]])
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([1]), "tokens"),
        numpy_helper.from_array(np.array([2]), "last"),
    ]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["real"]),
        helper.make_node("ReduceSum", ["real", "tokens"], ["sum"], keepdims=1),
        helper.make_node("Add", ["rows", "sum"], ["hidden"]),
    ]
    made = helper.make_graph(nodes, "bert", inputs, [output], constants)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(made, opset_imports=opset, ir_version=8), folder / "model.onnx")
    return folder


def test_a_graph_is_pooled_by_its_first_token(tmp_path: Path) -> None:
    own = tokenizer()
    table = np.random.default_rng(0).normal(size=(own.get_vocab_size(), 8)).astype(np.float32)
    teacher = OnnxTeacher(write_graph(tmp_path / "bert", table))
    texts = ["zo1 um3", "zo2", " ".join(["um4"] * 40), " ".join(["um5"] * 600)]
    found = teacher.encode_documents(texts).dense
    for said, vector in zip(texts, found, strict=True):
        ids = own.encode(said).ids
        rows = table[ids if len(ids) <= 512 else [*ids[:511], ids[-1]]]
        np.testing.assert_allclose(vector, unit((rows[0] + rows.sum(0))[None])[0], atol=1e-5)
    assert teacher.dense_dim == 8
    (tmp_path / "bert" / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="fetch it again"):
        OnnxTeacher(tmp_path / "bert")


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    rows = [
        {
            "text": " ".join(rng.choice([*TOLD, *FILLERS], 40)),
            "query": " ".join(rng.choice(ASKED, 3)) if at % 4 else "",
        }
        for at in range(80)
    ]
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = np.random.default_rng(1).normal(size=(tokenizer().get_vocab_size(), 24))
    start = write_start(tmp_path / "start")
    return [
        *("--start", str(start), "--text", str(texts), "--out", str(tmp_path / "run")),
        *("--teacher", str(write_start(tmp_path / "teacher", seed=1)), "1"),
        *("--teacher", str(write_graph(tmp_path / "bert", table.astype(np.float32))), "0.5"),
        *("--device", "cpu", "--pairs", "8"),
    ]


def test_the_recipe_writes_a_model_and_goes_on(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = [*given, "--steps", "10", "--export", str(tmp_path / "next")]
    assert joint_teachers.main(run) == 0
    (figures,) = [
        json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    ]
    assert figures["step"] == 10 and figures["target"] > 0
    before, after = (load_encoder(tmp_path / name) for name in ("start", "next"))
    asked = ["qua1 qua2"]
    assert not np.allclose(before.encode_queries(asked).dense, after.encode_queries(asked).dense)
    state = (tmp_path / "run" / "state.pt").stat().st_mtime_ns
    assert joint_teachers.main(run) == 0
    assert (tmp_path / "run" / "state.pt").stat().st_mtime_ns == state, "it is over"
    other = [*run, "--teacher", str(tmp_path / "start"), "2"]
    assert joint_teachers.main(other) == 1
    assert "is of a run with other settings (teacher is" in capsys.readouterr().err
    half = [*run[:-1], str(tmp_path / "half"), "--average", "0.5"]
    assert joint_teachers.main(half) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--steps", "0"], "--steps 0"),
        (["--teacher", "TEACHER", "-1"], "expected a weight above 0"),
        (["--text", "no-such-*.jsonl"], ""),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    given: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: list[str],
    said: str,
) -> None:
    change = [str(tmp_path / "teacher") if one == "TEACHER" else one for one in change]
    if not said:
        place = given.index("--text")
        given = [*given[:place], *given[place + 2 :]]
        said = "no file matches"
    assert joint_teachers.main([*given, *change]) == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1].startswith("error: ") and said in told[-1]
