"""Formulas as a line: of web pages, XML, and office files of three kinds."""

from __future__ import annotations

import pytest

from retrieval.documents.formats.formulas import mathml_source
from retrieval.errors import DocumentError

from .office.packages_for_tests import docx, made, pptx, shape
from .outlines_for_tests import parsed

WORD = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("<mi>E</mi><mo>=</mo><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup>", "E=mc2"),
        ("<mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mi>c</mi></mfrac>", "(a+b)/c"),
        ("<mfrac><mfenced><mi>a</mi><mi>b</mi></mfenced><mn>2</mn></mfrac>", "(a,b)/2"),
        ("<msqrt><mi>x</mi><mo>-</mo><mn>1</mn></msqrt>", "√(x-1)"),
        ("<mroot><mi>x</mi><mn>3</mn></mroot>", "3√x"),
        ("<mi>sin</mi><mo>&#x2061;</mo><mi>x</mi>", "sin x"),
        ("<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr></mtable>", "1 2"),
        ("<mi>x</mi><mtext>if</mtext><mi>y</mi>", "x if y"),
        ("<semantics><mi>x</mi><annotation>\\LaTeX</annotation></semantics>", "x"),
        ("<mphantom><mi>y</mi></mphantom><mi>x</mi>", "x"),
        ("<mi>&alpha;</mi><mo>&lt;</mo><mo>&InvisibleTimes;</mo><mi>x</mi>", "α<x"),
        ("<mi>x</mi><mi>y", "xy"),  # not well-formed: its characters
        ("<mi>&unknown;</mi>", "&unknown;"),
    ],
)
def test_a_formula_of_a_page(source: str, said: str) -> None:
    page = f"<p>before <math>{source}</math> after\n<p>below"
    assert parsed("a.html", page).text == f"before {said} after\nbelow"


def test_lines_of_a_page_stay_where_a_formula_has_several() -> None:
    page = "<p>one <math>\n<mi>x</mi>\n\n<mo>=</mo></math> two\n<p>three"
    assert parsed("a.html", page).text == "one x=\n\n\ntwo\nthree"


def test_a_hidden_formula_stays_hidden() -> None:
    page = '<p>a <math aria-hidden="true"><mi>x</mi></math> b <div hidden><math><mi>y</mi></math>'
    assert "x" not in parsed("a.html", page).text
    assert "y" not in parsed("a.html", page).text


def test_a_formula_nested_without_end_is_its_characters() -> None:
    page = f"<p><math>{'<mrow>' * 5000}<mi>x</mi>{'</mrow>' * 5000}</math>"
    assert parsed("a.html", page).text.strip() == "x"


def test_formulas_of_articles() -> None:
    math = (
        '<mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML"><mml:mfrac><mml:mi>a</mml:mi>\n'
        "<mml:mrow><mml:mn>2</mml:mn><mml:mo>+</mml:mo><mml:mi>b</mml:mi></mml:mrow></mml:mfrac>"
        "</mml:math>"
    )
    article = (
        f"<article><front><article-meta><title-group><article-title>On {math}</article-title>"
        f"</title-group></article-meta></front><body>\n<p>The share {math} falls.</p>\n<p>x</p>"
        "</body></article>"
    )
    found = parsed("a.jats.xml", f"<?xml version='1.0'?>\n{article}")
    assert found.title == "On a/(2+b)"
    assert "The share\na/(2+b) falls.\nx" in found.text


@pytest.mark.parametrize("name", ["pandoc.docx", "pandoc.odt", "libreoffice.odt", "pandoc.pptx"])
def test_formulas_as_programs_write_them(name: str) -> None:
    found = made(f"formulas-{name}")
    total = "∑i=1n xi" if name.endswith("odt") else "∑i=1nxi"
    assert found.text == (
        "Flow in the sound\n\n"
        "The flow Q=Av of the sound, and the depth (a+b)/2 in a line.\n\n"
        f"{total}=√y(1 2; 3 4)\n\n"
        "name | area\npipe | A=πr2"
    )


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        ("<m:nary><m:e><m:r><m:t>x</m:t></m:r></m:e></m:nary>", "∫x"),
        (
            "<m:d><m:dPr><m:begChr m:val='['/><m:endChr m:val=''/></m:dPr><m:e><m:r><m:t>x</m:t>"
            "</m:r></m:e><m:e><m:r><m:t>y</m:t></m:r></m:e></m:d>",
            "[x|y",
        ),
        (
            "<m:func><m:fName><m:r><m:t>sin</m:t></m:r></m:fName><m:e><m:r><m:t>x</m:t></m:r></m:e>"
            "</m:func>",
            "sin x",
        ),
        ("<m:r><m:t>a</m:t></m:r><w:del><m:r><m:t>b</m:t></m:r></w:del>", "a"),
    ],
)
def test_signs_of_an_equation_that_are_attributes(inner: str, said: str) -> None:
    body = f"<w:p {WORD}><w:r><w:t>so </w:t></w:r><m:oMath>{inner}</m:oMath></w:p>"
    assert parsed("a.docx", docx(body)).text == f"so {said}"


def test_a_slide_with_a_prefix_that_nothing_binds_is_read() -> None:
    formula = f"<a:p><a14:m><m:oMath {WORD}><m:r><m:t>x</m:t></m:r></m:oMath></a14:m></a:p>"
    deck = parsed("a.pptx", pptx(shape("Loads", kind="title"), shape("Tides", formula)))
    assert deck.problems == ()
    assert deck.text == "Loads\n\nSlide 2\n\nTides\n\nx"


def test_a_presentation_of_broken_slides_says_what_is_broken() -> None:
    with pytest.raises(DocumentError, match=r"can be read: read without ppt/slides/s0\.xml, which"):
        parsed("a.pptx", pptx("<p:sp>"))


def test_a_long_name_in_a_formula_takes_linear_time() -> None:
    name = "a" * 90_000 + "1"
    said = mathml_source(f"<math><mi>{name}</mi><mi>b</mi><mi>sin</mi><mi>x</mi></math>")
    assert said == f"{name}b sin x"
