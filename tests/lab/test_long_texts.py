"""Long texts are neighbouring windows; their targets are what the teacher makes of each."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from lab.distillation.long_texts import join_windows, runs_of_texts
from lab.distillation.teacher import Targets
from lab.text.corpus import TokenCorpus, pair_batches

CLS, SEP = 1, 2


def _corpus(lengths: list[int]) -> TokenCorpus:
    rows, word = [], 10
    for length in lengths:
        rows.append([CLS, *range(word, word + length - 2), SEP])
        word += length - 2
    ids = np.array([i for row in rows for i in row], np.uint16)
    pairs = np.arange(2 * (len(lengths) // 2), dtype=np.int64).reshape(-1, 2)
    return TokenCorpus(ids, np.concatenate(([0], np.cumsum(lengths))), pairs)


class _Echo:
    """A teacher whose vector of a token is its id, and in which window it stood."""

    def __call__(self, texts: list[np.ndarray]) -> Targets:
        rows = [[float(i), float(at)] for at, text in enumerate(texts) for i in text]
        hidden = torch.tensor(rows)
        return Targets(hidden, [])


def test_windows_join_without_the_marks_between() -> None:
    corpus = _corpus([5, 4, 6, 3])
    long_texts = join_windows([[corpus[0], corpus[1], corpus[2]], [corpus[3]]])
    words = list(range(10, 19))
    assert [list(text) for text in long_texts.texts] == [[CLS, *words, SEP], [CLS, 19, SEP]]
    targets = long_texts.targets(_Echo())  # type: ignore[arg-type]
    assert targets.hidden[:, 0].tolist() == [float(i) for text in long_texts.texts for i in text]
    assert targets.hidden[:, 1].tolist() == [0.0] * 4 + [1.0] * 2 + [2.0] * 5 + [3.0] * 3


def test_runs_are_neighbours_of_the_length_asked_for() -> None:
    corpus = _corpus([int(n) for n in np.random.default_rng(0).integers(3, 60, 400)])
    stream = runs_of_texts(corpus, 256, seed=0, lengths=(64, 128, 512))
    seen = set()
    for _ in range(60):
        runs = next(stream)
        for run in runs:
            assert len(run) and (np.diff(run) == 1).all() and run[0] >= 0 and run[-1] < len(corpus)
        tokens = [int(corpus.lengths[run].sum()) for run in runs]
        seen.add(len(runs))
        # A run stops before the window that would make it too long; one window is always taken.
        assert all(total <= 512 or len(run) == 1 for total, run in zip(tokens, runs, strict=True))
    assert seen == {4, 2, 1}
    again = runs_of_texts(corpus, 256, seed=0, lengths=(64, 128, 512))
    other = runs_of_texts(corpus, 256, seed=0, lengths=(64, 128, 512))
    for _ in range(5):
        for one, two in zip(next(again), next(other), strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("odds", "shares"), [(2.0, (1, 2, 4)), (1.0, (1, 1, 1)), (0.5, (4, 2, 1))])
def test_how_often_each_length_is_drawn(odds: float, shares: tuple[int, ...]) -> None:
    stream = runs_of_texts(_corpus([4] * 400), 256, seed=0, lengths=(64, 128, 256), odds=odds)
    drawn = Counter(len(next(stream)) for _ in range(1400))
    expected = 1400 * np.array(shares) / sum(shares)
    # Four standard deviations of a binomial are less than 80.
    np.testing.assert_allclose([drawn[4], drawn[2], drawn[1]], expected, atol=80)


def test_pairs_of_a_batch_are_neighbours_and_come_once_an_epoch() -> None:
    corpus = _corpus([4] * 600)
    stream = pair_batches(corpus, 10, seed=0, region=50)
    assert stream is not None
    epoch = [next(stream) for _ in range(30)]
    numbers = np.concatenate(epoch)[:, 0]
    assert len(set(numbers.tolist())) == 300
    # A region of 50 pairs spans 100 texts; a batch may lie across the border of two.
    assert max(np.ptp(batch[:, 0]) for batch in epoch) <= 2 * 2 * 50
    assert np.ptp(numbers[:20]) > 0
    assert pair_batches(corpus, 301, seed=0) is None
    assert pair_batches(corpus, 1, seed=0) is None


@pytest.mark.parametrize("start", [0, 399])
def test_a_run_ends_with_the_corpus(start: int) -> None:
    corpus = _corpus([5] * 400)
    runs = [run for _ in range(300) for run in next(runs_of_texts(corpus, 10_000, seed=start))]
    assert max(int(run[-1]) for run in runs) <= 399
