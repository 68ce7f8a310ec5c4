"""OpenDocument spreadsheets that are one XML file (FODS), made the zip file that is read."""

from __future__ import annotations

import io
import re
import zipfile
from xml.parsers import expat

from retrieval.documents.formats.office.xml_parts import refuse_entities
from retrieval.errors import DocumentError

_KIND = "application/vnd.oasis.opendocument.spreadsheet"
_MANIFEST = (
    '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" '
    'manifest:version="1.3"><manifest:file-entry manifest:full-path="/" '
    f'manifest:media-type="{_KIND}"/></manifest:manifest>'
)
_INDENTATION = re.compile(rb">\r?\n\s*+<")
_OBJECT = re.compile(rb"<draw:object\b[^>]*(?<!/)>.*?</draw:object>", re.DOTALL)
"""What is embedded: the tables of charts would be sheets."""
_ABOUT = re.compile(rb"(<office:document\b[^>]*>)\s*(<office:meta>.*?</office:meta>)", re.DOTALL)


def is_flat(data: bytes) -> bool:
    """Whether a file is XML, and no zip."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def packed(data: bytes) -> bytes:
    """The file as the zip file that it could be, without what is embedded in it.

    Raises:
        DocumentError: it is not well-formed, or declares entities.
    """
    try:
        refuse_entities(data, "the file")
    except expat.ExpatError as error:
        raise DocumentError(f"is damaged: the file is not well-formed XML ({error})") from None
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("mimetype", _KIND, zipfile.ZIP_STORED)
        file.writestr("META-INF/manifest.xml", _MANIFEST)
        file.writestr("content.xml", _INDENTATION.sub(b"><", _OBJECT.sub(b"", data)))
        if about := _ABOUT.search(data):
            file.writestr("meta.xml", b"%b%b</office:document>" % about.groups())
    return made.getvalue()
