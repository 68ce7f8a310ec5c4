"""Zip files with the parts that a test is about."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from retrieval.documents.formats.format import Parsed

from ..outlines_for_tests import parsed
from .make_files import FILES, W

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"


def zipped(parts: Mapping[str, str | bytes], level: int | None = None) -> bytes:
    """A zip file of these members."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return made.getvalue()


def relations(targets: Mapping[str, str]) -> str:
    """Relations of a part: kind to target."""
    links = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets.items())
    )
    return f'<Relationships xmlns="{RELATIONS}">{links}</Relationships>'


def docx(body: str, **parts: str) -> bytes:
    """A Word document; `parts` are the children of `styles`, `numbering`, `footnotes`, ..."""
    made = {
        "_rels/.rels": relations({"officeDocument": "word/document.xml"}),
        "word/_rels/document.xml.rels": relations({kind: f"{kind}.xml" for kind in parts}),
        "word/document.xml": f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>',
    }
    for kind, inner in parts.items():
        made[f"word/{kind}.xml"] = f'<w:{kind} xmlns:w="{W}">{inner}</w:{kind}>'
    return zipped(made)


def p(text: str, style: str = "", properties: str = "") -> str:
    """A paragraph of a Word document."""
    styled = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{styled}{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def table(*rows: list[str], properties: str = "") -> str:
    """A table of a Word document."""
    lines = "".join(
        f"<w:tr>{properties}{''.join(f'<w:tc>{p(cell)}</w:tc>' for cell in row)}</w:tr>"
        for row in rows
    )
    return f"<w:tbl>{lines}</w:tbl>"


P = "http://schemas.openxmlformats.org/presentationml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
NAMES = f'xmlns:p="{P}" xmlns:a="{A}" xmlns:r="{OFFICE}"'


def pptx(*slides: str, parts: Mapping[str, str] | None = None, **links: str) -> bytes:
    """A presentation of slides, each the shapes of it; `links` are relations of the first."""
    listed = "".join(f'<p:sldId id="{256 + n}" r:id="r{n}"/>' for n in range(len(slides)))
    made: dict[str, str | bytes] = {
        "_rels/.rels": relations({"officeDocument": "ppt/presentation.xml"}),
        "ppt/presentation.xml": f"<p:presentation {NAMES}><p:sldIdLst>{listed}</p:sldIdLst>"
        "</p:presentation>",
        "ppt/_rels/presentation.xml.rels": relations(
            {
                **{f"{n}/slide": f"slides/s{n}.xml" for n in range(len(slides))},
                "commentAuthors": "authors.xml",
            }
        ),
        "ppt/slides/_rels/s0.xml.rels": relations(links),
        **(parts or {}),
    }
    for n, shapes in enumerate(slides):
        made[f"ppt/slides/s{n}.xml"] = (
            f"<p:sld {NAMES}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        )
    return zipped(made)


def shape(*paragraphs: str, kind: str | None = None) -> str:
    """A shape of a slide; of its paragraphs those that are no XML become some."""
    placed = f'<p:ph type="{kind}"/>' if kind is not None else ""
    said = "".join(
        one if one.startswith("<") else f"<a:p><a:r><a:t>{one}</a:t></a:r></a:p>"
        for one in paragraphs
    )
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="2" name="s"/><p:nvPr>{placed}</p:nvPr></p:nvSpPr>'
        f"<p:txBody>{said}</p:txBody></p:sp>"
    )


ODF = "urn:oasis:names:tc:opendocument:xmlns:"
ODF_NAMES = " ".join(
    f'xmlns:{prefix}="{ODF}{name}:1.0"'
    for prefix, name in {
        "office": "office", "text": "text", "table": "table", "draw": "drawing",
        "style": "style", "presentation": "presentation", "meta": "meta",
    }.items()
) + ' xmlns:dc="http://purl.org/dc/elements/1.1/"'  # fmt: skip


def odt(body: str, styles: str = "", kind: str = "text", **parts: str) -> bytes:
    """An OpenDocument file."""
    return zipped(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": f"<office:document-content {ODF_NAMES}><office:automatic-styles>"
            f"{styles}</office:automatic-styles><office:body><office:{kind}>{body}"
            f"</office:{kind}></office:body></office:document-content>",
            **{name.replace("_", "."): content for name, content in parts.items()},
        }
    )


def made(name: str) -> Parsed:
    """What is read from a file that a program wrote."""
    return parsed(name, (FILES / name).read_bytes())
