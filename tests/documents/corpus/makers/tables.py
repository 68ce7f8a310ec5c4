"""The table of stores, by libraries and programs."""

# ruff: noqa: E501 (commands, as one would type them)

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from .common import FILES, rows, run

TABLE = "select store, lowest, highest, goods from stores"


def by_odfpy() -> None:
    """OpenDocument slides, drawings and sheets by odfpy."""
    from odf import draw, opendocument, style, table, text

    def page(made: object, parent: object, master: object, title: str, lines: list[str]) -> None:
        sheet = draw.Page(name=title, masterpagename=master)
        parent.addElement(sheet)
        for at, one in enumerate([title, *lines]):
            frame = draw.Frame(width="20cm", height="2cm", x="2cm", y=f"{2 + 3 * at}cm")
            if at == 0:
                frame.setAttrNS(
                    "urn:oasis:names:tc:opendocument:xmlns:presentation:1.0", "class", "title"
                )
            box = draw.TextBox()
            box.addElement(text.P(text=one))
            frame.addElement(box)
            sheet.addElement(frame)

    pages = [("Ferries of the sound", ["A report to the council"]),
             ("Why ferries are late", ["Fog before nine", "Too few deck hands"])]  # fmt: skip
    for kind, suffix in (("Presentation", "odp"), ("Drawing", "odg")):
        made = getattr(opendocument, f"OpenDocument{kind}")()
        layout = style.PageLayout(name="layout")
        made.automaticstyles.addElement(layout)
        master = style.MasterPage(name="master", pagelayoutname=layout)
        made.masterstyles.addElement(master)
        parent = made.presentation if suffix == "odp" else made.drawing
        for title, lines in pages:
            page(made, parent, master, title, lines)
        made.save(str(FILES / f"ferries-odfpy.{suffix}"))
    made = opendocument.OpenDocumentSpreadsheet()
    sheet = table.Table(name="Stores")
    for cells in rows():
        row = table.TableRow()
        for cell in cells:
            one = table.TableCell(valuetype="string")
            one.addElement(text.P(text=cell))
            row.addElement(one)
        sheet.addElement(row)
    made.spreadsheet.addElement(sheet)
    made.save(str(FILES / "stores-odfpy.ods"))


def by_sqlite() -> None:
    """The table by SQLite's shell, and by jq a record a line."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "stores.db"
        head, *body = rows()
        create = f"create table stores ({', '.join(head)});"
        values = "".join(
            f"insert into stores values ({', '.join(repr(cell) for cell in cells)});"
            for cells in body
        )
        run("sqlite3", base, create + values)
        for mode, suffix in (("csv", "csv"), ("tabs", "tsv"), ("json", "json"), ("list", "psv")):
            made = run("sqlite3", "-header", "-cmd", f".mode {mode}", base, TABLE)
            (FILES / f"stores-sqlite.{suffix}").write_text(made)
        lines = run("jq", "-c", ".[]", FILES / "stores-sqlite.json")
        (FILES / "stores-jq.jsonl").write_text(lines)
        (FILES / "stores-sqlite.sql").write_text(run("sqlite3", base, ".dump"))


def by_pandas() -> None:
    """The table by pandas."""
    import pandas

    head, *body = rows()
    frame = pandas.DataFrame(body, columns=head)
    frame.to_csv(FILES / "stores-pandas.csv", index=False, sep=";")
    frame.to_csv(FILES / "stores-pandas.tsv", index=False, sep="\t")
    frame.to_csv(FILES / "stores-pandas.psv", index=False, sep="|")
    frame.to_json(FILES / "stores-pandas.json", orient="records", indent=1)
    frame.to_json(FILES / "stores-pandas.jsonl", orient="records", lines=True)
    (FILES / "stores-pandas.tex").write_text(frame.to_latex(index=False))


def by_pyxlsbwriter() -> None:
    """The table as a sheet of Excel's binary format."""
    from pyxlsbwriter import XlsbWriter

    head, *body = rows()
    typed = [[int(cell) if cell.lstrip("-").isdigit() else cell for cell in row] for row in body]
    with XlsbWriter(str(FILES / "stores-pyxlsbwriter.xlsb")) as made:
        made.add_sheet("Stores")
        made.write_sheet([head, *typed])


def by_sheetjs() -> None:
    """The table as a sheet by SheetJS, whose cells do not say their column."""
    head, *body = rows()
    typed = [[int(cell) if cell.lstrip("-").isdigit() else cell for cell in row] for row in body]
    script = (
        "const X = require('xlsx'), book = X.utils.book_new(), [rows, target] = process.argv.slice(1);"
        "X.utils.book_append_sheet(book, X.utils.aoa_to_sheet(JSON.parse(rows)), 'Stores');"
        "X.writeFile(book, target);"
    )
    run("node", "-e", script, json.dumps([head, *typed]), FILES / "stores-sheetjs.xlsb")
