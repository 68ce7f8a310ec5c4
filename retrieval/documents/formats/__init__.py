"""Parses each format's content into text and outline: one module per format, and their table.

format     what a format is: names, a version, one function from bytes to `Parsed`
table      all formats; which one a file has
languages  programming languages, by file names
"""

from retrieval.documents.formats.format import (
    Format,
    Parsed,
    Source,
    first_heading,
    text_format,
    top_heading,
)
from retrieval.documents.formats.table import format_of, formats, outline_of, problems, register

__all__ = [
    "Format",
    "Parsed",
    "Source",
    "first_heading",
    "format_of",
    "formats",
    "outline_of",
    "problems",
    "register",
    "text_format",
    "top_heading",
]
