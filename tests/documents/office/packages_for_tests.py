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


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    """A zip file of these members."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
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


def made(name: str) -> Parsed:
    """What is read from a file that a program wrote."""
    return parsed(name, (FILES / name).read_bytes())
