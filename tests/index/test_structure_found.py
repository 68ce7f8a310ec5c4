"""What a document's structure is worth: with the embedded model, the right passage comes first.

Each kind in words of its own: sections whose headings alone tell them apart, methods of classes,
rows of tables, files and folders whose names alone say what they are about, cells of notebooks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from retrieval import Index
from retrieval.sync import sync

HOUSES = ("Willow", "Juniper", "Magnolia")
ROOMS = ("kitchen", "cellar", "attic", "library", "stable", "orchard", "chapel", "laundry")
SAME = (
    "The inspector writes the reading down once a month and signs the sheet in the hall. If it "
    "differs from the month before by more than a tenth, a second person takes it again. Old "
    "sheets are kept for seven years in the office, sorted by date, and nobody may remove one."
)
METALS = ("barium", "caesium", "erbium", "hafnium", "niobium", "rhenium", "scandium", "yttrium")


@contextmanager
def indexed(folder: Path, files: dict[str, str]) -> Iterator[Index]:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    with Index.create(folder / ".retrieval") as index:
        sync(index, [folder])
        yield index


def bodies() -> dict[str, list[str]]:
    """The paragraphs below each house's heading; only the numbers differ between the houses."""
    return {
        house: [
            f"The meter of the {room} stood at {1000 * n + 7 * at} in spring. {SAME}"
            for at, room in enumerate(ROOMS)
        ]
        for n, house in enumerate(HOUSES, start=1)
    }


def markdown() -> tuple[str, str]:
    parts = [f"## {house}\n\n" + "\n\n".join(body) for house, body in bodies().items()]
    return "meters.md", "# Meters\n\n" + "\n\n".join(parts)


def restructured() -> tuple[str, str]:
    parts = [
        f"{house}\n{'-' * len(house)}\n\n" + "\n\n".join(body) for house, body in bodies().items()
    ]
    return "meters.rst", "Meters\n======\n\n" + "\n\n".join(parts)


def html() -> tuple[str, str]:
    parts = [
        f"<section><h2>{house}</h2>{''.join(f'<p>{p}</p>' for p in body)}</section>"
        for house, body in bodies().items()
    ]
    return "meters.html", f"<html><title>Meters</title><h1>Meters</h1>{''.join(parts)}</html>"


def asciidoc() -> tuple[str, str]:
    parts = [f"== {house}\n\n" + "\n\n".join(body) for house, body in bodies().items()]
    return "meters.adoc", "= Meters\n\n" + "\n\n".join(parts)


def org() -> tuple[str, str]:
    parts = [f"* {house}\n\n" + "\n\n".join(body) for house, body in bodies().items()]
    return "meters.org", "#+TITLE: Meters\n\n" + "\n\n".join(parts)


def latex() -> tuple[str, str]:
    parts = [f"\\section{{{house}}}\n\n" + "\n\n".join(body) for house, body in bodies().items()]
    return (
        "meters.tex",
        "\\documentclass{book}\n\\begin{document}\n" + "\n\n".join(parts) + "\n\\end{document}\n",
    )


@pytest.mark.parametrize(
    "written",
    [markdown, restructured, html, asciidoc, org, latex],
    ids=lambda f: f.__name__,
)
def test_a_heading_counts_for_every_passage_below_it(
    tmp_path: Path, written: Callable[[], tuple[str, str]]
) -> None:
    with indexed(tmp_path, dict([written()])) as index:
        for n, house in enumerate(HOUSES, start=1):
            for at, room in enumerate(ROOMS):
                (hit,) = index.search(f"meter of the {room} at {house}", k=1)
                assert f"meter of the {room} stood at {1000 * n + 7 * at} " in hit.text
                assert house in hit.heading
        (hit,) = index.search("chapel", k=1, where=f'heading == "{HOUSES[1]}"')
        assert HOUSES[1] in hit.heading


PYTHON = (
    "class {house}Meter(Base):\n\n{methods}\n",
    "    def {room}_reading(self, day):\n        value = self.fetch(day)\n{steps}"
    "        return value\n\n",
    "        value = self.smooth(value, window={step})\n        self.log(value)\n",
)
JAVA = (
    "class {house}Meter extends Base {{\n\n{methods}}}\n",
    "    int {room}_reading(Day day) {{\n        int value = fetch(day);\n{steps}"
    "        return value;\n    }}\n\n",
    "        value = smooth(value, {step});\n        log(value);\n",
)
GO = (
    "type {house}Meter struct{{}}\n\n{methods}\n",
    "func (m *{house}Meter) {room}_reading(day Day) int {{\n\tvalue := m.fetch(day)\n{steps}"
    "\treturn value\n}}\n\n",
    "\tvalue = m.smooth(value, {step})\n\tm.log(value)\n",
)


@pytest.mark.parametrize(
    ("suffix", "head", "forms"),
    [(".py", "", PYTHON), (".java", "", JAVA), (".go", "package meter\n\n", GO)],
    ids=["python", "java", "go"],
)
def test_a_method_is_found_by_its_class_and_its_name(
    tmp_path: Path, suffix: str, head: str, forms: tuple[str, str, str]
) -> None:
    of_class, of_method, of_step = forms
    steps = "".join(of_step.format(step=step) for step in range(14))
    source = head + "".join(
        of_class.format(
            house=house,
            methods="".join(
                of_method.format(house=house, room=room, steps=steps) for room in ROOMS
            ),
        )
        for house in HOUSES
    )
    with indexed(tmp_path, {f"meter{suffix}": source}) as index:
        for house in HOUSES:
            for room in ROOMS:
                symbol = f"{house}Meter.{room}_reading"
                (hit,) = index.search(symbol, k=1)
                assert hit.symbol == symbol
                assert hit.passage.context.signature
        hits = index.search("smooth", k=100, where=f'symbol == "{HOUSES[0]}Meter.attic_reading"')
        assert hits
        assert {hit.symbol for hit in hits} == {f"{HOUSES[0]}Meter.attic_reading"}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".md", ".html"])
def test_a_table_s_header_counts_for_every_row(tmp_path: Path, suffix: str) -> None:
    columns = {"melting point": 1000, "cost per ton": 5000}
    files = {}
    for n, (column, first) in enumerate(columns.items()):
        rows = [(m, str(first + 3 * at)) for at, m in enumerate(METALS)]
        remark = SAME[:160].replace(",", "")
        if suffix in (".csv", ".tsv"):
            mark = "," if suffix == ".csv" else "\t"
            lines = [mark.join(("metal", column, "remark"))]
            lines += [mark.join((*row, remark)) for row in rows]
            text = "\n".join(lines)
        elif suffix == ".md":
            lines = [f"| metal | {column} | remark |", "|---|---|---|"]
            lines += [f"| {' | '.join((*row, remark))} |" for row in rows]
            text = "# Metals\n\n" + "\n".join(lines) + "\n"
        else:
            body = "".join(
                f"<tr>{''.join(f'<td>{cell}</td>' for cell in (*row, remark))}</tr>" for row in rows
            )
            text = f"<h1>Metals</h1><table><tr><th>metal</th><th>{column}</th></tr>{body}</table>"
        files[f"t{n}{suffix}"] = text
    with indexed(tmp_path, files) as index:
        for column, first in columns.items():
            for at, metal in enumerate(METALS):
                (hit,) = index.search(f"{column} of {metal}", k=1)
                assert str(first + 3 * at) in hit.text
                if suffix == ".csv":
                    assert hit.place.row is not None


CLIENTS = ("kestrel", "marlin", "ibis", "puffin", "heron", "osprey")


@pytest.mark.parametrize("name", ["offers/{}-2031.txt", "offers/{}/letter.txt", "{}_offer.md"])
def test_a_name_of_a_file_or_a_folder_is_searched(tmp_path: Path, name: str) -> None:
    files = {
        name.format(client): (
            f"Offer {at}\n\nWe paint the hall in {3 + at} days and lay the floor in {9 + at}. "
            f"The price holds for {20 + at} days from today, travel not included."
        )
        for at, client in enumerate(CLIENTS)
    }
    with indexed(tmp_path, files) as index:
        for client in CLIENTS:
            (hit,) = index.search(f"how long does the offer to {client} hold", k=1)
            assert client in hit.document_id
            assert client in hit.context


def test_a_notebook_is_its_cells(tmp_path: Path) -> None:
    picture = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBOR" * 9000}}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Tides\n", "\n", "Of the bay.\n"]},
        {
            "cell_type": "code",
            "metadata": {},
            "execution_count": 1,
            "source": ["def tide_height(hour):\n", "    return hour % 12\n"],
            "outputs": [picture],
        },
        {"cell_type": "markdown", "metadata": {}, "source": ["Gulls sleep on the pier.\n"]},
    ]
    kernel = {"kernelspec": {"name": "python3", "language": "python"}}
    notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    with indexed(tmp_path, {"tides.ipynb": json.dumps(notebook)}) as index:
        (hit,) = index.search("tide_height", k=1, where='language == "python"')
        assert "def tide_height(hour):" in hit.text
        assert "iVBOR" not in hit.text
        assert hit.place.cell is not None
        (hit,) = index.search("where do gulls sleep", k=1)
        assert "Gulls sleep on the pier." in hit.text
        assert index.status().passages <= 3
