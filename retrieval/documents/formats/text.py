"""Plain text: no structure but paragraphs and sentences. Whatever no other format claims."""

from __future__ import annotations

from retrieval.documents.formats.format import text_format
from retrieval.documents.outline import Outline

FORMATS = (text_format("text", 1, lambda text: Outline(), suffixes=(".txt", ".text", ".log")),)
