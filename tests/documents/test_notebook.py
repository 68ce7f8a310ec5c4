"""Jupyter notebooks: cells, their languages and places, outputs, and files that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import Parsed, Source, format_of
from retrieval.errors import DocumentError

from .outlines_for_tests import FILL, check, headings, parsed, passages_of

PICTURE = "iVBORw0KGgo" * 400


def cell(kind: str, source: Any, outputs: Any = None, **fields: Any) -> dict[str, Any]:
    made = {"cell_type": kind, "metadata": {}, "source": source, **fields}
    return {**made, "outputs": outputs or [], "execution_count": 1} if kind == "code" else made


def notebook(*cells: Any, **metadata: Any) -> str:
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def stream(text: Any) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def result(**data: Any) -> dict[str, Any]:
    data = {name.replace("_", "/"): value for name, value in data.items()}
    return {"output_type": "execute_result", "data": data, "metadata": {}}


def test_a_notebook_is_its_cells_and_each_passage_knows_its_own() -> None:
    function = (
        "import x\n\n\n%matplotlib inline\ndef growth(x):\n    '''How it grows.'''\n    return 2\n"
    )
    made = parsed("a.ipynb", notebook(
        cell("markdown", ["# Mill *study*\n", "\n", FILL * 4]),
        cell("code", function.splitlines(keepends=True), [result(image_png=PICTURE)]),
        cell("markdown", f"## Results\n\n{FILL * 4}"),
        cell("code", f"total = growth(3)\n# {FILL * 4}", [stream(["6\n"])]),
        kernelspec={"language": "python", "name": "python3", "display_name": "Python 3"},
    ))  # fmt: skip
    assert made.title == "Mill study"
    assert headings(made) == [(1, "Mill study"), (2, "Results")]
    assert "iVBOR" not in made.text
    found = passages_of(made)
    assert sorted({p.place.cell for _, p in found if p.place.cell}) == [1, 2, 3, 4]
    definition = next(block for block in made.outline.blocks if block.kind == "definition")
    assert (definition.name, definition.language) == ("growth", "python")
    assert made.text[definition.start :].startswith("def growth(x):")
    assert definition.doc and made.text[slice(*definition.doc)] == "'''How it grows.'''"
    text, last = found[-1]
    assert text.endswith("6") and "total = growth(3)" in found[-2][0]
    assert last.context.headings == ("Mill study", "Results")
    assert last.context.languages == ("python",)
    assert {p.context.languages for _, p in found if p.place.cell == 3} == {()}


@pytest.mark.parametrize(
    ("metadata", "source", "fields", "language"),
    [
        ({"language_info": {"name": "R"}}, "x <- 1", {}, "r"),
        ({"kernelspec": {"name": "python3"}}, "x = 1", {}, "python"),
        ({"kernelspec": {"language": "C++17", "name": "xcpp17"}}, "int x;", {}, ""),
        ({}, "x = 1", {}, "python"),
        ({}, "%%bash\nls", {}, "bash"),
        ({}, "%%time\nx = 1", {}, "python"),
        ({}, "%%html\n<b>", {}, ""),
        ({}, "var x;", {"metadata": {"vscode": {"languageId": "javascript"}}}, "javascript"),
    ],
)
def test_the_language_of_a_cell(
    metadata: dict[str, Any], source: str, fields: dict[str, Any], language: str
) -> None:
    made = parsed("a.ipynb", notebook(cell("code", source, **fields), **metadata))
    assert made.outline.blocks[0].language == language


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ([stream("6\n"), stream(["7\n", "8"])], "6\n7\n8"),
        ([stream("\n".join(f"line {n}" for n in range(99)))],
         "\n".join(f"line {n}" for n in range(10)) + "\n…"),
        ([stream("x" * 5000)], "x" * 1000 + "\n…"),
        ([result(text_plain="array([1])", text_html="<b>no</b>")], "array([1])"),
        ([result(text_plain="<Figure size 640x480 with 1 Axes>", image_png=PICTURE)], ""),
        ([{"output_type": "error", "ename": "ValueError", "evalue": "bad", "traceback": ["no"]}],
         "ValueError: bad"),
        ([stream("\x1b[31mred\x1b[0m 50%\r100%\x07")], "100%"),
        ([stream("Epoch 1\rloss 0.91\rEpoch 2\r\nend\r")], "Epoch 2\nend"),
        ([stream("\r 0%|  |\r50%|# |\r\x1b[K99%|##|\n")], "99%|##|"),
        ([stream("step 1\x08\x08 2"), stream("a\x1b[2Kb\rc\r\x1b[K")], "step 2"),
        ([stream("".join(f"\r{n} of 90000" for n in range(90001)) + "\ndone")],
         "90000 of 90000\ndone"),
        ([stream(f"data:image/png;base64,{PICTURE}")], ""),
        ([result(image_svg="<svg>no</svg>")], ""),
        ([None, 3, {"output_type": "stream"}, {"data": "no"}], ""),
    ],
)  # fmt: skip
def test_outputs_are_short_and_hold_no_pictures(outputs: list[Any], said: str) -> None:
    made = parsed("a.ipynb", notebook(cell("code", "x", outputs)))
    assert made.text == ("x\n\n" + said if said else "x")


def test_pictures_within_text_are_left_out() -> None:
    source = (
        f"A ![plan of the mill](attachment:a.png) b <img src='data:image/png;base64,{PICTURE}'>"
    )
    made = parsed("a.ipynb", notebook(cell("markdown", source, attachments={"a.png": PICTURE})))
    assert made.text == "A plan of the mill b <img src=''>"


def test_empty_cells_are_passed_over_but_counted() -> None:
    made = parsed("a.ipynb", notebook(cell("code", ""), 3, cell("raw", "kept"), cell("code", "x")))
    assert made.text == "kept\n\nx"
    assert [(mark.unit, mark.value) for mark in made.outline.marks] == [("cell", 3), ("cell", 4)]


def test_the_third_format_is_read_too() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Old"], "metadata": {}},
        {"cell_type": "code", "input": "x = 1", "language": "python", "outputs": [{"text": "y"}]},
    ]
    made = parsed(
        "a.ipynb", json.dumps({"nbformat": 3, "metadata": {}, "worksheets": [{"cells": cells}]})
    )
    assert made.text == "Old\n\nx = 1\n\ny"
    assert headings(made) == [(2, "Old")]


def test_metadata_of_a_notebook() -> None:
    made = parsed(
        "a.ipynb", notebook(cell("code", "x"), title="The  study", authors=[{"name": "Ada"}, {}])
    )
    assert (made.title, made.metadata) == ("The study", {"authors": ["Ada"]})


def test_without_cells_that_hold_text_a_notebook_has_no_passages() -> None:
    assert parsed("a.ipynb", notebook()).text == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"cells": [', "not JSON .* at line 1, column 1[0-9]"),
        ("", "not JSON"),
        ("[]", "holds no cells; a Jupyter notebook was expected"),
        ("3", "holds no cells"),
        ('{"worksheets": 3}', "holds no cells"),
        ("[" * 100_000, "nested too deeply|not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "is not a readable notebook"),
    ],
)
def test_a_file_that_is_no_notebook_is_one_line(content: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said) as caught:
        format_of("a.ipynb").parse(content.encode(), Source("a.ipynb"))
    assert "\n" not in str(caught.value)


KEYS = st.sampled_from(["cell_type", "source", "outputs", "data", "text", "metadata", "level", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
SOURCES = st.sampled_from(
    [
        "# A\n\ntext",
        "## B",
        "def f():\n    pass",
        "class C:\n  x = 1\n",
        "- a\n- b",
        "\ud800",
        "a:\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    ]
)
CELLS = st.builds(
    lambda kind, source, more: {"cell_type": kind, "source": source, **more},
    st.sampled_from(["code", "markdown", "raw", "heading"]),
    SOURCES | VALUES,
    st.dictionaries(st.sampled_from(["outputs", "metadata", "level"]), VALUES, max_size=2),
)


def test_a_cell_with_outputs_alone_is_no_code() -> None:
    cell = {"cell_type": "code", "source": None, "outputs": [{"text": "0"}]}
    made = format_of("a.ipynb").parse(json.dumps({"cells": [cell]}).encode(), Source("a.ipynb"))
    assert isinstance(made, Parsed)
    assert made.text == "0" and not made.outline.blocks
    check(made.text, made.outline)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(CELLS | VALUES, max_size=6), st.dictionaries(KEYS, VALUES, max_size=2))
def test_an_outline_lies_within_its_text(cells: list[Any], metadata: dict[str, Any]) -> None:
    content = json.dumps({"cells": cells, "metadata": metadata}).encode()
    made = format_of("a.ipynb").parse(content, Source("a.ipynb"))
    assert isinstance(made, Parsed)
    made.text.encode()
    check(made.text, made.outline)
