"""How long the rest takes: within a third of the truth after a minute, whatever the files are."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.documents import SourceFile
from retrieval.sync.remaining import Remaining


def file(name: str, size: int) -> SourceFile:
    return SourceFile(Path(name), name, size, 0)


def estimates(
    files: list[tuple[SourceFile, int]],
    speed: list[float],
    tokens_of: Callable[[SourceFile], float] = lambda file: 0.25,
) -> list[tuple[float, float, float]]:
    """(seconds, what was said to be left, what was left) second by second.

    Args:
        files: with the characters that each gives.
        speed: tokens a second, four times as much, for each part of the work in equal shares.
        tokens_of: a file's tokens a character.
    """
    total = sum(characters for _, characters in files)
    remaining = Remaining([one for one, _ in files])
    said, done, tokens, now = [], 0.0, 0.0, 0.0
    for one, characters in files:
        remaining.read(one)
        remaining.gave(one, characters)
        left = float(characters)
        while left > 0:
            rate = speed[min(int(done / total * len(speed)), len(speed) - 1)] / 4 / tokens_of(one)
            step = min(left, rate)
            now += step / rate
            done, left, tokens = done + step, left - step, tokens + step * tokens_of(one)
            said.append((now, remaining.seconds(now, int(done), int(tokens), int(left))))
    return [(at, guess, now - at) for at, guess in said if guess is not None]


def check(found: list[tuple[float, float, float]], share: float = 0.95) -> None:
    late = [(guess, truth) for at, guess, truth in found if at > 60 and truth > 5]
    assert len(late) > 60
    close = sum(abs(guess - truth) <= truth / 3 for guess, truth in late)
    assert close / len(late) >= share


def test_files_of_one_kind() -> None:
    check(estimates([(file(f"{n}.txt", 10_000), 10_000) for n in range(400)], [10_000]), 1.0)


def test_kinds_that_give_little_and_kinds_that_give_all() -> None:
    """Markup of which a tenth is text, among prose."""
    rng = random.Random(1)
    files = [(file(f"{n}.html", 200_000), 20_000) for n in range(150)]
    files += [(file(f"{n}.txt", 20_000), 20_000) for n in range(150)]
    rng.shuffle(files)
    check(estimates(files, [10_000]))


def test_records_that_have_not_changed() -> None:
    files = [(file(f"{n}.jsonl", 1_000_000), 0 if n % 2 else 20_000) for n in range(300)]
    check(estimates(files, [10_000]))


def test_a_machine_that_grows_slow() -> None:
    """Half as fast from a quarter on: a minute later the past says nothing any more."""
    found = estimates(
        [(file(f"{n}.txt", 10_000), 10_000) for n in range(800)], [20_000] + 3 * [10_000]
    )
    slow = 2_000_000 / 20_000
    late = [(guess, truth) for at, guess, truth in found if at > slow + 61]
    assert all(abs(guess - truth) <= truth / 3 for guess, truth in late)


def test_one_file_of_many_records() -> None:
    """It is read at once and encoded for long."""
    check(estimates([(file("a.jsonl", 4_000_000), 3_000_000)], [10_000]), 1.0)


def test_languages_one_after_the_other() -> None:
    """A character of some is three times the tokens of one of others: the speed is in tokens."""
    heavy = {"bn", "hi", "ko"}
    others = ["ar", "bn", "cs", "de", "es", "fr", "hi", "it", "ko", "nl", "pl", "pt", "sv", "ta"]
    files = [(file(f"pages/{n}.md", 2_000), 2_000) for n in range(3_000)]
    files += [(file(f"pages.{name}/{n}.md", 2_000), 2_000) for name in others for n in range(250)]

    def tokens_of(one: SourceFile) -> float:
        return 0.75 if one.id.partition(".")[2][:2] in heavy else 0.25

    check(estimates(files, [20_000], tokens_of))


@pytest.mark.parametrize("encoded", [0, 10])
def test_nothing_is_said_before_something_is_known(encoded: int) -> None:
    remaining = Remaining([file("a.txt", 1000)])
    assert remaining.seconds(0.0, 0, 0, 0) is None
    assert remaining.seconds(0.5 / 2, encoded, encoded // 4, 0) is None
