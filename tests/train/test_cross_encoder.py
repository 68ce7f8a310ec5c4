"""A cross-encoder as teacher: how it is told, read, kept, and learnt from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification

from retrieval.encoders import cross_encoder
from retrieval.encoders.checkpoints import open_folder
from retrieval.encoders.cross_encoder import is_cross_encoder, load_cross_encoder
from retrieval.errors import CheckpointError, InputError
from retrieval.train.adapt import AdaptOptions, adapt
from retrieval.train.candidates import teacher_scores
from retrieval.train.mining import Candidate, Mined
from retrieval.train.task import Task, read_task
from retrieval.train.teachers import CrossEncoderTeacher, EncoderTeacher, load_teacher
from retrieval.types import Document
from tests.index.fake_encoder import FakeEncoder
from tests.train import made_up

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "house", "tree"]
WORTH = np.array([0, 0, 0, 0, 1, 2, 4, 8, 16], np.float32)


def write_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A graph whose score is the worth of the text's words less a tenth of the query's."""
    folder = tmp_path / "cross"
    folder.mkdir()
    write_tokenizer(folder)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "l"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1])
    constants = [
        numpy_helper.from_array(WORTH, "worth"),
        numpy_helper.from_array(np.float32(1.1), "more"),
        numpy_helper.from_array(np.float32(-0.1), "less"),
        numpy_helper.from_array(np.array([1]), "axis"),
    ]
    nodes = [
        helper.make_node("Gather", ["worth", "input_ids"], ["worths"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["token_type_ids"], ["type"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["type", "more"], ["scaled"]),
        helper.make_node("Add", ["scaled", "less"], ["sign"]),
        helper.make_node("Mul", ["worths", "sign"], ["signed"]),
        helper.make_node("Mul", ["signed", "mask"], ["counted"]),
        helper.make_node("ReduceSum", ["counted", "axis"], ["logits"], keepdims=1),
    ]
    made = helper.make_graph(nodes, "cross", inputs, [output], constants)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(made, opset_imports=opset, ir_version=8), folder / "model.onnx")
    return folder


def write_bert(folder: Path, labels: int = 1) -> BertForSequenceClassification:
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=labels,
        initializer_range=1.0,
    )
    model = BertForSequenceClassification(shape).eval()
    model.save_pretrained(folder)
    write_tokenizer(folder)
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    said: dict[str, object] = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]"}
    said["model_input_names"] = inputs
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return model


PAIRS = [("red", "house tree"), ("green house", "blue"), ("red", "red green blue house tree")]


def test_a_graph_scores_each_pair_however_long_the_others_are(graph: Path) -> None:
    folder = open_folder(graph)
    assert is_cross_encoder(folder)
    found = load_cross_encoder(folder).scores(PAIRS)
    np.testing.assert_allclose(found, [24 - 0.1, 4 - 1.0, 31 - 0.1], rtol=1e-6)
    assert found.dtype == np.float32


def test_no_more_is_tokenised_than_is_read(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, str]] = []
    begun = cross_encoder._begun

    def spied(*asked: Any) -> list[tuple[str, str]]:
        given.extend(begun(*asked))
        return given[-len(asked[1]) :]

    monkeypatch.setattr(cross_encoder, "_begun", spied)
    model = load_cross_encoder(graph)
    found = model.scores([("red", "tree " * 50_000), ("red " * 50_000, "tree " * 50_000)])
    assert max(len(text) for pair in given for text in pair) < 20_000
    # Three special tokens; of two that are too long each has half of the rest.
    np.testing.assert_allclose(found, [508 * 16 - 0.1, 254 * 16 - 25.5], rtol=1e-6)


def test_a_checkpoint_without_a_graph_gives_the_networks_own_logits(tmp_path: Path) -> None:
    model = write_bert(tmp_path)
    folder = open_folder(tmp_path)
    assert is_cross_encoder(folder)
    found = load_cross_encoder(folder, device="cpu").scores(PAIRS)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for pair, score in zip(PAIRS, found, strict=True):
        read = tokenizer.encode(*pair)
        with torch.no_grad():
            out = model(torch.tensor([read.ids]), token_type_ids=torch.tensor([read.type_ids]))
        np.testing.assert_allclose(score, out.logits.item(), atol=1e-5)


def test_several_numbers_for_a_pair_are_no_score(tmp_path: Path) -> None:
    write_bert(tmp_path, labels=3)
    with pytest.raises(CheckpointError, match="gives 3 numbers for a pair, expected"):
        load_cross_encoder(open_folder(tmp_path), device="cpu").scores(PAIRS)


def test_a_graph_that_is_broken_is_said_in_one_line(graph: Path) -> None:
    (graph / "model.onnx").write_bytes(b"no graph")
    (graph / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    with pytest.raises(CheckpointError, match=r"cannot load it .*: fetch the model again") as told:
        load_cross_encoder(open_folder(graph))
    assert "\n" not in str(told.value)


TEXTS = ["house", "tree", "red blue"]


def small() -> tuple[Task, list[Mined]]:
    documents = [Document(text, text) for text in TEXTS]
    task = Task("small", documents, {"q": "red"}, {"q": {"house": 1}}, {}, "nothing")
    rows = [Candidate(at, 0, len(text), 0.0, 0.0, 0.0) for at, text in enumerate(TEXTS)]
    return task, [Mined("q", (rows[0],), tuple(rows[1:]))]


def test_its_scores_are_moved_to_the_range_from_0_to_1_and_read_once(
    graph: Path, tmp_path: Path
) -> None:
    task, found = small()
    read: list[tuple[str, str]] = []

    def teacher() -> CrossEncoderTeacher:
        model = load_cross_encoder(open_folder(graph))
        scored = model.scores
        model.scores = lambda pairs: (read.extend(pairs), scored(pairs))[1]  # type: ignore
        return CrossEncoderTeacher(model, tmp_path / "kept")

    (scores,) = teacher_scores(found, task, [teacher()], "hybrid")
    np.testing.assert_allclose(scores, [(8 - 5) / (16 - 5), 1, 0], atol=1e-6)
    assert read == [("red", text) for text in TEXTS]
    (again,) = teacher_scores(found, task, [teacher()], "hybrid")
    np.testing.assert_array_equal(again, scores)
    assert len(read) == len(TEXTS), "what was scored before is kept"
    for kept in (tmp_path / "kept").rglob("*.rows"):
        kept.write_bytes(kept.read_bytes()[:-2])
    (mended,) = teacher_scores(found, task, [teacher()], "hybrid")
    np.testing.assert_array_equal(mended, scores)
    assert read[len(TEXTS) :] == [("red", TEXTS[-1])]


def test_it_has_neither_dense_nor_late_scores(graph: Path, tmp_path: Path) -> None:
    task, found = small()
    teacher = CrossEncoderTeacher(load_cross_encoder(open_folder(graph)), tmp_path)
    with pytest.raises(InputError, match="cross-encoder, which gives no late scores; leave"):
        teacher_scores(found, task, [teacher], "late")


def test_what_a_folder_holds_decides_which_teacher_it_is(graph: Path, tmp_path: Path) -> None:
    def loaded(source: str) -> FakeEncoder:
        return FakeEncoder()

    model = made_up.write_start(tmp_path / "start")
    cross = load_teacher(str(graph), tmp_path / "kept", encoder=loaded)
    own = load_teacher(str(model), tmp_path / "kept", encoder=loaded)
    assert isinstance(cross, CrossEncoderTeacher) and isinstance(own, EncoderTeacher)


def test_a_model_learns_from_it(graph: Path, tmp_path: Path) -> None:
    start = made_up.write_start(tmp_path / "start")
    task = read_task(made_up.write_collection(tmp_path / "small", documents=40, train=24, dev=8))
    options = AdaptOptions(epochs=1, batch=8, negatives=2, teachers=(str(graph),))
    report = adapt(task, tmp_path / "model", start=start, options=options, cache=tmp_path / "kept")
    assert report.losses["teacher"] > 0
    assert list((tmp_path / "kept" / "teachers").glob("*/pairs/*.rows"))
    assert "cross" in (report.model / "README.md").read_text()
