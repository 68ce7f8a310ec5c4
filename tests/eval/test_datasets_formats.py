"""A format is one module: what is put beside the others is found, tried and said by itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import retrieval.eval.datasets as datasets
from retrieval.errors import InputError
from retrieval.eval.datasets import formats, load
from retrieval.eval.datasets.formats import FORMATS, formats_in
from tests.eval.dataset_files import write

TOY = """
from retrieval.eval.datasets import assemble
from retrieval.eval.datasets.format import Format
from retrieval.types import Document


def recognises(folder):
    return (folder / "toy.txt").is_file() and (folder / "answers.txt").is_file()


def load(folder, split):
    texts = (folder / "toy.txt").read_text().splitlines()
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    answers = [line.split("=") for line in (folder / "answers.txt").read_text().splitlines()]
    queries = [(query, query) for query, _ in answers]
    judged = [(query, number, 1) for query, number in answers]
    return [assemble(folder.name, split or "test", lambda: iter(documents), queries, judged)]


def lacking(folder):
    return "answers.txt is missing" if (folder / "toy.txt").is_file() else None


FORMAT = Format("Toy", recognises, load, lacking)
"""


@pytest.fixture
def with_toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module more in the folder of formats."""
    write(tmp_path / "more" / "toy.py", TOY)
    path = [*formats.__path__, str(tmp_path / "more")]
    monkeypatch.setattr(formats, "__path__", path)
    monkeypatch.delitem(sys.modules, f"{formats.__name__}.toy", raising=False)
    monkeypatch.setattr(datasets, "FORMATS", formats_in(formats.__name__, path))


@pytest.mark.usefixtures("with_toy")
def test_a_format_is_one_module(tmp_path: Path) -> None:
    folder = tmp_path / "birds"
    write(folder / "toy.txt", "Cats purr.\nDucks quack.\n")
    with pytest.raises(InputError, match=r"no format that is known; .* answers.txt is missing"):
        load(str(folder))
    with pytest.raises(InputError, match=r"expected one of: AdvTest, .*Toy"):
        write(tmp_path / "none" / "a.md", "")
        load(str(tmp_path / "none"))
    write(folder / "answers.txt", "who quacks=1\n")
    (found,) = load(str(folder))
    assert [document.text for document in found.documents] == ["Cats purr.", "Ducks quack."]
    assert found.judgements == {"who quacks": {"1": 1}}


def test_narrow_formats_are_tried_before_wide_ones() -> None:
    names = [one.name for one in FORMATS]
    assert len(set(names)) == len(names)
    assert [one.precedence for one in FORMATS] == sorted(one.precedence for one in FORMATS)
    assert names.index("AdvTest") < names.index("CodeSearchNet") < names.index("BEIR, MTEB or CoIR")
