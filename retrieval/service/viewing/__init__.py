"""Showing a document: its structure, its colours, its pages; never its own HTML.

documents  choosing the view of a document of an index
markdown   Markdown as a tree of a few kinds of elements
colours    the kinds of the pieces of code
           (pages are pictures made by the format: `retrieval.documents.formats.pdf.picture`)

Views are made in worker processes, since a document may make its parser hang or crash.
"""

from retrieval.service.viewing.documents import View, page_picture, view

__all__ = ["View", "page_picture", "view"]
