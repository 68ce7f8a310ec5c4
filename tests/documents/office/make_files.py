"""Writes the files of this folder's tests anew, by the programs that people use.

    python -m tests.documents.office.make_files

Needs pandoc, LibreOffice (soffice) and the packages python-docx, python-pptx, openpyxl, xlsxwriter
and xlwt. The texts are our own, in `sources/` and below.
"""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCES, FILES = HERE / "sources", HERE / "files"
WHEN = datetime.datetime(2026, 3, 5, 8, 30, tzinfo=datetime.UTC)

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
BOX = f"""<w:r xmlns:w="{W}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"
 xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"
 xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"
 xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"
 xmlns:v="urn:schemas-microsoft-com:vml"><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing>
 <wp:anchor><wp:positionH><wp:posOffset>914400</wp:posOffset></wp:positionH><wp:docPr id="9"
 name="Text Box 9" descr="a frame"/><a:graphic><a:graphicData
 uri="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"><wps:wsp><wps:txbx>
 <w:txbxContent><w:p><w:r><w:t>Ring twice at the lock gate.</w:t></w:r></w:p></w:txbxContent>
 </wps:txbx></wps:wsp></a:graphicData></a:graphic></wp:anchor></w:drawing></mc:Choice><mc:Fallback>
 <w:pict><v:shape><v:textbox><w:txbxContent><w:p><w:r><w:t>Ring twice at the lock gate.</w:t></w:r>
 </w:p></w:txbxContent></v:textbox></v:shape></w:pict></mc:Fallback></mc:AlternateContent></w:r>"""
CHANGES = f"""<w:p xmlns:w="{W}"><w:r><w:t xml:space="preserve">The toll is </w:t></w:r>
<w:del w:id="1" w:author="Ben"><w:r><w:delText>forty</w:delText></w:r></w:del>
<w:ins w:id="2" w:author="Ben"><w:r><w:t>fifty</w:t></w:r></w:ins>
<w:r><w:t xml:space="preserve"> crowns a barge</w:t></w:r><w:moveFrom w:id="3"><w:r><w:t> by
night</w:t></w:r></w:moveFrom><w:r><w:rPr><w:vanish/></w:rPr><w:t> secretly</w:t></w:r>
<w:r><w:t>.</w:t></w:r></w:p>"""
CONTENTS = f"""<w:sdt xmlns:w="{W}"><w:sdtPr><w:docPartObj><w:docPartGallery
 w:val="Table of Contents"/></w:docPartObj></w:sdtPr><w:sdtContent><w:p><w:r><w:t>Contents of the
 whole</w:t></w:r></w:p></w:sdtContent></w:sdt>"""


def run(*command: str) -> None:
    """Run a program, silently."""
    subprocess.run(command, check=True, capture_output=True)


def convert(source: Path, target: str, name: str | None = None) -> None:
    """Let LibreOffice write a file in another format."""
    with tempfile.TemporaryDirectory() as folder:
        run("soffice", "--headless", "--convert-to", target, "--outdir", folder, str(source))
        made = next(Path(folder).iterdir())
        shutil.move(made, FILES / (name or f"{source.stem.split('-')[0]}-libreoffice{made.suffix}"))


def pandoc() -> None:
    """What pandoc writes, and LibreOffice makes of that."""
    for source, suffix in (
        ("guide", "docx"), ("guide", "odt"), ("guide", "epub"), ("slides", "pptx"),
    ):  # fmt: skip
        target = FILES / f"{source}-pandoc.{suffix}"
        run("pandoc", str(SOURCES / f"{source}.md"), "-o", str(target))
    run(
        "pandoc", "-t", "epub2", str(SOURCES / "guide.md"), "-o", str(FILES / "guide-pandoc-2.epub")
    )
    run("pandoc", "-s", str(SOURCES / "guide.md"), "-o", str(FILES / "guide-pandoc.rtf"))
    convert(FILES / "guide-pandoc.docx", "rtf:Rich Text Format")
    convert(FILES / "guide-pandoc.docx", "odt:writer8")
    convert(FILES / "guide-pandoc.odt", "docx:MS Word 2007 XML")
    convert(FILES / "guide-pandoc.odt", "epub")
    convert(FILES / "slides-pandoc.pptx", "odp:impress8")


def letter() -> None:
    """A Word document with all that people put into one, also with the names of strict files."""
    import docx
    from docx.oxml import parse_xml
    from docx.oxml.ns import qn

    made = docx.Document()
    properties = made.core_properties
    properties.title, properties.author = "The lock at Brenn", "Ines Varga"
    properties.created = properties.modified = WHEN.replace(tzinfo=None)
    properties.keywords = "locks, tolls"
    made.sections[0].header.paragraphs[0].text = "Header of every page"
    made.sections[0].footer.paragraphs[0].text = "Footer of every page"
    made.element.body.insert(0, parse_xml(CONTENTS))
    made.add_heading("The lock at Brenn", 1)
    paragraph = made.add_paragraph("Barges are let through in the order in which they ")
    paragraph.add_run("came").bold = True
    run_ = paragraph.add_run(", whatever they carry.")
    made.add_comment(run_, text="Is grain still let through first?", author="Ben Adler")
    made.add_heading("Tolls", 2)
    made.element.body.insert(-1, parse_xml(CHANGES))
    paragraph = made.add_paragraph("At night:")
    paragraph._p.append(parse_xml(BOX))
    for text, style in (
        ("show two lamps", "List Bullet"),
        ("wait for the whistle", "List Bullet"),
        ("one long, one short", "List Bullet 2"),
        ("enter slowly", "List Number"),
        ("tie up on the left", "List Number"),
    ):
        made.add_paragraph(text, style=style)
    made.add_heading("The keeper's hours", 2)
    table = made.add_table(rows=4, cols=3)
    for row, cells in zip(
        table.rows,
        [
            ("Day", "Hours", "Keeper"),
            ("Monday", "6 to 18", "Orla Finch"),
            ("Tuesday", "6 to 18", "Orla Finch"),
            ("Sunday", "closed", ""),
        ],
        strict=True,
    ):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    table.cell(1, 2).merge(table.cell(2, 2)).text = "Orla Finch"
    table.cell(3, 1).merge(table.cell(3, 2))
    made.add_paragraph("Beside the table:")
    frame = made.add_table(rows=1, cols=1)
    frame.cell(0, 0).text = "A table of one cell is a frame around text."
    paragraph = made.add_paragraph()
    run_ = paragraph.add_run()
    run_._r.append(run_._r.makeelement(qn("w:lastRenderedPageBreak"), {}))
    run_.add_text("What stands on the second page.")
    made.save(str(FILES / "letter-python-docx.docx"))
    strict(FILES / "letter-python-docx.docx", FILES / "letter-strict.docx")


def deck() -> None:
    """Slides with groups, a chart, a table, notes, comments, footers, and shapes that are odd."""
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.oxml import parse_xml
    from pptx.util import Cm

    made = Presentation()
    made.core_properties.title = "PowerPoint Presentation"
    made.core_properties.author = "Ben Adler"
    made.core_properties.created = made.core_properties.modified = WHEN.replace(tzinfo=None)
    frame = (Cm(2), Cm(8), Cm(18), Cm(6))
    slide = made.slides.add_slide(made.slide_layouts[0])
    slide.shapes.title.text = "Ferries of the sound"
    slide.placeholders[1].text = "A report to the council"
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = "Why ferries are late"
    body = slide.placeholders[1].text_frame
    body.text = "Fog before nine"
    for text, level in (("mostly in March", 1), ("Too few deck hands", 0)):
        paragraph = body.add_paragraph()
        paragraph.text, paragraph.level = text, level
    slide.notes_slide.notes_text_frame.text = "Ask the harbour master.\nThank the crews."
    group = slide.shapes.add_group_shape()
    inner = group.shapes.add_group_shape()
    inner.shapes.add_textbox(*frame).text_frame.text = "A box in a group in a group"
    slide = made.slides.add_slide(made.slide_layouts[6])
    table = slide.shapes.add_table(3, 3, *frame).table
    for row, cells in enumerate(
        [("Ferry", "Built", "Seats"), ("Gannet", "1994", "120"), ("Tern", "2011", "85")]
    ):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    slide = made.slides.add_slide(made.slide_layouts[5])
    slide.shapes.title.text = "Passengers by season"
    data = CategoryChartData()
    data.categories = ["spring", "summer"]
    data.add_series("Gannet", (310, 905))
    data.add_series("Tern", (120.5, 480))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *frame, data)
    slide.shapes.add_textbox(*frame).text_frame.text = "Counted at the gangway"
    hidden = slide.shapes.add_textbox(*frame)
    hidden.text_frame.text = "never shown"
    hidden._element.nvSpPr.cNvPr.set("hidden", "1")
    slide.shapes._spTree.append(
        parse_xml(
            '<p:graphicFrame xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
            'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><p:nvGraphicFramePr>'
            '<p:cNvPr id="77" name="x"/><p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr>'
            '<p:xfrm><a:off x="0" y="0"/><a:ext cx="9" cy="9"/></p:xfrm><a:graphic><a:graphicData '
            'uri="http://example.org/unknown"><a:odd/></a:graphicData></a:graphic>'
            "</p:graphicFrame>"
        )
    )
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = "Made last, shown second"
    slide.placeholders[1].text_frame.text = "Order is the presentation's"
    order = made.slides._sldIdLst
    order.insert(1, order[-1])
    for layout in (*made.slide_layouts,):
        if layout.name not in {one.slide_layout.name for one in made.slides}:
            made.slide_layouts.remove(layout)
    made.save(str(FILES / "deck-python-pptx.pptx"))
    convert(FILES / "deck-python-pptx.pptx", "odp:impress8")


STORES = [
    ("North", -18.0, 40, datetime.date(2025, 11, 3), True),
    ("South", 2.5, 12, datetime.date(2025, 11, 4), False),
    ("Quay", 0.1 + 0.2, 1200, datetime.date(2026, 1, 31), True),
]


def workbook() -> None:
    """A workbook with titles, dates, errors, merged cells and sheets without anything."""
    import openpyxl

    made = openpyxl.Workbook()
    made.properties.title, made.properties.creator = "Stores of the harbour", "Ines Varga"
    made.properties.created = made.properties.modified = WHEN.replace(tzinfo=None)
    sheet = made.active
    sheet.title = "Stores"
    sheet["A1"] = "Cold stores, state of January"
    sheet.append([])
    sheet.append(["Store", "Limit", "Pallets", "Checked", "Locked"])
    for row in STORES:
        sheet.append(row)
    sheet.append(["Sum", None, "=SUM(C4:C6)", datetime.datetime(2026, 2, 1, 6, 30), "#N/A"])
    sheet["E7"].data_type = "e"
    made.create_sheet("Nothing here")
    sheet = made.create_sheet("Tolls")
    sheet.append(["Barge", "Toll", None, "Paid"])
    sheet.append([None, "day", "night", None])
    sheet.merge_cells("B1:C1")
    sheet.append(["Gannet", 40, 55, "yes"])
    sheet.append(["Tern", 38, 52.25, "no"])
    sheet.append([])
    sheet.append(["Keeper", "Since"])
    sheet.append(["Orla Finch", 2011])
    sheet.append(["Ben Adler", 2019])
    made.save(FILES / "stores-openpyxl.xlsx")
    convert(FILES / "stores-openpyxl.xlsx", "ods:calc8")
    convert(FILES / "stores-openpyxl.xlsx", "xls:MS Excel 97")
    convert(FILES / "stores-libreoffice.ods", "xlsx:Calc MS Excel 2007 XML")


def plain_workbooks() -> None:
    """The stores alone, as two more programs write them."""
    import xlsxwriter
    import xlwt

    head = ["Store", "Limit", "Pallets", "Checked", "Locked"]
    made = xlsxwriter.Workbook(str(FILES / "plain-xlsxwriter.xlsx"))
    made.set_properties({"created": WHEN})
    day = made.add_format({"num_format": "yyyy-mm-dd"})
    sheet = made.add_worksheet("Stores")
    sheet.write_row(0, 0, head)
    for at, (store, limit, pallets, checked, locked) in enumerate(STORES, start=1):
        sheet.write_row(at, 0, (store, limit, pallets))
        sheet.write_datetime(at, 3, checked, day)
        sheet.write_boolean(at, 4, locked)
    made.close()
    old = xlwt.Workbook()
    page = old.add_sheet("Stores")
    for row, cells in enumerate([head, *STORES]):
        for column, cell in enumerate(cells):
            style = xlwt.Style.default_style
            if isinstance(cell, datetime.date):
                style = xlwt.easyxf(num_format_str="yyyy-mm-dd")
            page.write(row, column, cell, style)
    old.save(str(FILES / "plain-xlwt.xls"))


def remarks() -> None:
    """A workbook with comments, text boxes and a chart, and what LibreOffice makes of it."""
    import xlsxwriter

    made = xlsxwriter.Workbook(str(FILES / "remarks-xlsxwriter.xlsx"))
    made.set_properties({"created": WHEN, "title": "Weighed barges"})
    sheet = made.add_worksheet("Barges & tolls")
    for at, row in enumerate([("Barge", "Load"), ("Gannet", 40), ("Tern", 38), ("Skua", 12)]):
        sheet.write_row(at, 0, row)
    sheet.write_row(5, 0, ("Keeper", "Since"))
    sheet.write_row(6, 0, ("Orla Finch", 2011))
    sheet.write_comment("B3", "Ben Adler:\nweighed\ntwice", {"author": "Ben Adler"})
    sheet.write_comment("A7", "on leave till June", {"author": "Ines Varga"})
    sheet.insert_textbox(2, 3, "Loads are in tons\nof a thousand kilos")
    sheet.insert_textbox(11, 0, "Checked by the harbour")
    chart = made.add_chart({"type": "column"})
    chart.add_series({"values": "='Barges & tolls'!$B$2:$B$4"})
    chart.set_title({"name": "Loads of January"})
    chart.set_x_axis({"name": "Barge by barge"})
    sheet.insert_chart("G2", chart)
    made.add_worksheet("Remarks only").write_comment("C4", "to be filled in", {"author": "Cy"})
    made.close()
    convert(FILES / "remarks-xlsxwriter.xlsx", "ods:calc8")
    convert(FILES / "remarks-xlsxwriter.xlsx", "xls:MS Excel 97")


def formulas() -> None:
    """Formulas, as pandoc and LibreOffice write them."""
    for suffix in ("docx", "odt", "pptx"):
        run("pandoc", str(SOURCES / "formulas.md"), "-o", str(FILES / f"formulas-pandoc.{suffix}"))
    convert(FILES / "formulas-pandoc.docx", "odt:writer8")


def strict(source: Path, target: Path) -> None:
    """The same file with the names of strict OOXML."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name).decode("utf-8", "surrogateescape")
            if name.endswith((".xml", ".rels")):
                data = data.replace(W, "http://purl.oclc.org/ooxml/wordprocessingml/main")
                data = re.sub(
                    r"http://schemas\.openxmlformats\.org/(officeDocument|drawingml)/2006/",
                    r"http://purl.oclc.org/ooxml/\1/",
                    data,
                )
            new.writestr(name, data.encode("utf-8", "surrogateescape"))


def main() -> None:
    """Write all files."""
    FILES.mkdir(exist_ok=True)
    pandoc()
    letter()
    convert(FILES / "letter-python-docx.docx", "odt:writer8")
    deck()
    workbook()
    plain_workbooks()
    remarks()
    formulas()


if __name__ == "__main__":
    main()
