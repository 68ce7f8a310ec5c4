"""The token head alone: what it is trained on, what it learns, what it leaves as it was."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lab.distillation.hidden_states import HiddenStates, Trunk, full_length, rows_of
from lab.distillation.statements import PlacementRule, Writer
from lab.distillation.token_head import HeadConfig, fit_token_head
from lab.distillation.token_head_reading import (
    NEAREST_TOKENS,
    Candidates,
    PairSet,
    QuerySet,
    Reader,
    widen,
)
from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.heads import token_vectors
from retrieval.encoders.model.token_head_shape import TokenHeadShape
from retrieval.errors import CheckpointError, InputError
from retrieval.train.student import Student, flatten
from retrieval.types import ProgressUpdate
from tests.lab.names import corpus, tokenizer, untrained, words_of

CORPUS = corpus(sentences=True)
CONFIG = HeadConfig(steps=60, queries=12, pairs=8, rate=3e-3, checkpoint_seconds=1e9)


def _student() -> Student:
    """One whose token head reads neighbours."""
    made = untrained(CORPUS)
    widen(made, 32, near=16, reach=2)
    return made.eval()


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer().save(str(path))
    made = Trunk(_student(), path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def learnt_from(
    trunk: Trunk, tmp_path_factory: pytest.TempPathFactory
) -> tuple[QuerySet, QuerySet, PairSet]:
    """Statements to learn from, others to be measured on, and pairs."""
    folder = tmp_path_factory.mktemp("hidden")
    marks: Any = tuple(tokenizer().token_to_id(mark) for mark in ("[CLS]", "[SEP]", "."))
    asked = []
    for seed in (0, 1):
        placed = Writer(CORPUS, words_of(CORPUS), marks, seed).place(PlacementRule(100, 120, 2))
        sides = [trunk.encode(texts, folder) for texts in (placed.queries, placed.texts)]
        asked.append(QuerySet(*sides, placed.hosts))
    pairs = [[CORPUS[int(text)] for text in side] for side in CORPUS.pairs.T]
    return asked[0], asked[1], PairSet(*(trunk.encode(side, folder) for side in pairs))


def _first(student: Student, asked: QuerySet) -> float:
    """Share of queries whose own text is first among all texts, by plain MaxSim."""
    counts = student.query_token_weights
    assert counts is not None
    with torch.no_grad():
        reader = Reader(student)

        def vectors(side: HiddenStates, number: int) -> torch.Tensor:
            return reader(student.token_head, side, side.rows([number]))

        texts = [vectors(asked.texts, number) for number in range(len(asked.texts))]
        right = 0
        for number, hosts in enumerate(asked.hosts):
            query = vectors(asked.queries, number)
            weight = counts[torch.from_numpy(asked.queries.ids[asked.queries.rows([number])])]
            sums = [float((weight * (query @ text.T).amax(1)).sum()) for text in texts]
            right += int(np.argmax(sums)) == hosts[0]
    return right / len(asked.hosts)


def test_hidden_vectors_are_the_trunks(trunk: Trunk, tmp_path: Path) -> None:
    student = _student()
    texts = [CORPUS[number] for number in range(5)]
    hidden = trunk.encode(texts, tmp_path)
    gain = student.trunk.final_norm.weight.detach()
    made = rows_of(hidden, hidden.rows(range(5)), gain)
    with torch.no_grad():
        expected = student.trunk(*flatten(texts))
    assert made.shape == expected.shape
    # The trunk here is of int8.
    assert torch.nn.functional.cosine_similarity(made, expected, dim=1).min() > 0.99
    torch.testing.assert_close(made.norm(dim=1), expected.norm(dim=1), rtol=0.02, atol=0.0)


def test_the_length_that_a_norm_gives_comes_back() -> None:
    torch.manual_seed(0)
    norm = torch.nn.LayerNorm(64, bias=False)
    torch.nn.init.uniform_(norm.weight, 0.5, 2)
    made = norm(torch.randn(20, 64) * 3).detach()
    unit = torch.nn.functional.normalize(made, dim=1)
    torch.testing.assert_close(full_length(unit, norm.weight.detach()), made, rtol=1e-4, atol=1e-4)


def test_what_is_encoded_is_kept_and_damage_is_said(trunk: Trunk, tmp_path: Path) -> None:
    texts = [CORPUS[number] for number in range(3)]
    told: list[ProgressUpdate] = []
    trunk.encode(texts, tmp_path, progress=told.append)
    total = sum(map(len, texts))
    assert told[-1] == ProgressUpdate("encoding", total, total, "tokens")
    told.clear()
    trunk.encode(texts, tmp_path, progress=told.append)
    assert told == []
    trunk.encode(texts[:2], tmp_path, progress=told.append)
    assert told
    for path in tmp_path.glob("*.npy"):
        path.write_bytes(b"\x93NUMPY")
    with pytest.raises(CheckpointError, match="remove it, and it is made again"):
        trunk.encode(texts, tmp_path)


def test_statements_are_told_apart_and_the_rest_stays(
    learnt_from: tuple[QuerySet, QuerySet, PairSet], tmp_path: Path
) -> None:
    asked, others, paired = learnt_from
    student = _student()
    before = {name: weight.clone() for name, weight in student.state_dict().items()}
    had = _first(student, others)
    rows: list[dict[str, float]] = []
    config = replace(CONFIG, steps=400, anchor_weight=0.0, order_weight=0.0)
    fit_token_head(student, [asked], paired, config, tmp_path, log=rows.append)
    assert _first(student, others) > 1.25 * had
    assert rows[-1]["step"] == config.steps
    assert {"statements", "first"} <= rows[-1].keys()
    after = student.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {
        "query_token_weights",
        *(f"token_head.{part}.weight" for part in ("skip", "up", "down", "near")),
    }
    assert bool((after["query_token_weights"] > 0).all())


@pytest.mark.parametrize("killed_at", [10, 20])
def test_a_run_goes_on_where_it_was_killed(
    learnt_from: tuple[QuerySet, QuerySet, PairSet], tmp_path: Path, killed_at: int
) -> None:
    """Before candidates are looked for anew, and after."""
    asked, _, paired = learnt_from
    config = replace(CONFIG, steps=30, looks=2, checkpoint_seconds=0.0)

    class KilledError(Exception):
        pass

    def kill(figures: dict[str, Any]) -> None:
        if figures["step"] == killed_at:
            raise KilledError

    whole = fit_token_head(_student(), [asked], paired, config, tmp_path / "whole")
    with pytest.raises(KilledError):
        fit_token_head(_student(), [asked], paired, config, tmp_path / "killed", log=kill)
    again = fit_token_head(_student(), [asked], paired, config, tmp_path / "killed")
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weight, rtol=1e-3, atol=1e-5)
    with pytest.raises(CheckpointError, match="rate is"):
        other = replace(config, rate=1.0)
        fit_token_head(_student(), [asked], paired, other, tmp_path / "killed")


def test_candidates_are_the_nearest_tokens(learnt_from: tuple[QuerySet, QuerySet, PairSet]) -> None:
    asked, _, _ = learnt_from
    student = _student()
    reader = Reader(student)
    with torch.no_grad():
        found = Candidates(asked, student.token_head, reader, np.random.default_rng(0))
        assert (found.texts[:, 1:] != found.texts[:, :1]).all()
        every = reader(student.token_head, asked.texts, np.arange(len(asked.texts.ids)))
        for number in (0, 7, 31):
            assert found.texts[number, 0] == asked.hosts[number, 0]
            tokens = asked.queries.rows([number])
            query = reader(student.token_head, asked.queries, tokens)
            for column, text in enumerate(found.texts[number]):
                rows = asked.texts.rows([text])
                nearest = (query @ every[rows].T).topk(NEAREST_TOKENS, 1).values
                kept = torch.from_numpy(found.rows[tokens, column])
                mine = torch.einsum("rd,rkd->rk", query, every[kept])
                torch.testing.assert_close(mine.sort(1, descending=True).values, nearest)


@pytest.mark.parametrize("near", [0, 16])
def test_kept_vectors_give_what_the_whole_network_gives(
    trunk: Trunk, tmp_path: Path, near: int
) -> None:
    student = _student() if near else untrained(CORPUS)
    if near:
        with torch.no_grad():
            torch.nn.init.normal_(student.token_head.up.weight, std=0.2)
            torch.nn.init.normal_(student.token_head.skip.weight, std=0.2)
    texts = [CORPUS[number][: 3 + number] for number in range(5)]
    hidden = trunk.encode(texts, tmp_path)
    with torch.no_grad():
        made = Reader(student)(student.token_head, hidden, hidden.rows([0, 3, 1, 2, 4]))
        expected = student(*flatten([texts[number] for number in (0, 3, 1, 2, 4)])).tokens
    # The trunk that made what was kept is of int8.
    assert (made * expected).sum(1).min() > 0.99


def test_a_head_that_reads_neighbours_tells_them_apart() -> None:
    """The same trunk's vector, another word three before it, or four."""
    student = untrained(CORPUS)
    widen(student, 32, near=16, reach=3)
    torch.nn.init.normal_(student.token_head.skip.weight, std=0.2)
    hidden = torch.randn(9, 64)
    ids = torch.arange(10, 19)
    with torch.no_grad():

        def vectors(ids: torch.Tensor) -> torch.Tensor:
            layout = Layout.of([9])
            return token_vectors(student.token_head, student.trunk, hidden, ids, layout)

        before, after = vectors(ids), vectors(torch.cat([ids[:2], ids[:1], ids[3:]]))
    moved = [at for at in range(9) if not torch.equal(before[at], after[at])]
    assert moved == [0, 1, 2, 3, 4, 5]


def test_a_wider_head_gives_the_same_vectors() -> None:
    student, wide = untrained(CORPUS), untrained(CORPUS)
    widen(wide, 128, near=32, reach=4)
    assert wide.token_head.up.weight.shape == (128, 64 + 9 * 32)
    widen(wide, 144)
    assert wide.token_head.shape == TokenHeadShape(32, 144, 32, 4)
    with pytest.raises(InputError, match="expected the 32 of each of 4 that the token head reads"):
        widen(wide, 144, near=32, reach=3)
    with pytest.raises(InputError, match="20 numbers of each of 1 neighbours, expected a multiple"):
        widen(student, 32, near=20, reach=1)
    ids: list[NDArray[Any]] = [CORPUS[0], CORPUS[1]]
    with torch.no_grad():
        torch.testing.assert_close(wide(*flatten(ids)).tokens, student(*flatten(ids)).tokens)
    with pytest.raises(InputError, match="a width of 16 inside the token head, expected"):
        widen(wide, 16)
    with pytest.raises(InputError, match="a width of 130 inside the token head"):
        widen(wide, 130)


def test_too_few_pairs(learnt_from: tuple[QuerySet, QuerySet, PairSet], tmp_path: Path) -> None:
    asked, _, paired = learnt_from
    with pytest.raises(InputError, match=r"\d+ pairs, expected at least the 9999 of a step"):
        fit_token_head(_student(), [asked], paired, replace(CONFIG, pairs=9999), tmp_path)


def test_a_checkpoint_is_of_one_student_and_its_texts(
    learnt_from: tuple[QuerySet, QuerySet, PairSet], tmp_path: Path
) -> None:
    asked, others, paired = learnt_from
    config = replace(CONFIG, steps=1)
    fit_token_head(_student(), [asked], paired, config, tmp_path)
    with pytest.raises(CheckpointError, match="texts is"):
        fit_token_head(_student(), [others], paired, config, tmp_path)
    moved = _student()
    with torch.no_grad():
        moved.trunk.final_norm.weight.add_(0.1)
    with pytest.raises(CheckpointError, match="student is"):
        fit_token_head(moved, [asked], paired, config, tmp_path)


def test_a_student_without_query_weights(
    learnt_from: tuple[QuerySet, QuerySet, PairSet], tmp_path: Path
) -> None:
    asked, _, paired = learnt_from
    plain = untrained(CORPUS, weighted=False)
    with pytest.raises(InputError, match="a student without weights of query tokens"):
        fit_token_head(plain, [asked], paired, CONFIG, tmp_path)


def test_texts_of_few_tokens(trunk: Trunk, tmp_path: Path) -> None:
    """The last token of a text of fewer than are kept stands for those that it has not."""
    texts = [CORPUS[1][: 3 + number] for number in range(6)]
    sides = trunk.encode([CORPUS[1][:4]] * 6, tmp_path), trunk.encode(texts, tmp_path)
    hosts = np.array([np.roll(np.arange(6), -at) for at in range(6)])
    student = _student()
    asked, draw = QuerySet(*sides, hosts), np.random.default_rng(0)
    with torch.no_grad():
        found = Candidates(asked, student.token_head, Reader(student), draw)
    for number, candidates in enumerate(found.texts):
        for column, text in enumerate(candidates):
            rows = found.rows[sides[0].rows([number]), column]
            assert np.isin(rows, sides[1].rows([text])).all()
            assert all(len(set(kept)) == 3 + text for kept in rows.tolist())


def test_an_interruption_does_not_wait_for_what_is_left(
    trunk: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, run = trunk._network, []

    def counted(ids: NDArray[np.int64]) -> Any:
        run.append(len(ids))
        time.sleep(0.01)
        return network(ids)

    def interrupt(now: ProgressUpdate) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trunk, "_network", counted)
    texts = [CORPUS[number] for number in range(200)]
    with pytest.raises(KeyboardInterrupt):
        trunk.encode(texts, tmp_path, progress=interrupt)
    assert len(run) < 150
    assert not list(tmp_path.glob("*.npy"))
