"""How a document is shown: its structure, its colours, its pages; never HTML of its own.

documents  which of them, for a document of an index
markdown   Markdown as elements of a few kinds
colours    what each piece of code is
           (pages are pictures made by the format: `retrieval.documents.formats.pdf.picture`)

All of it is made in worker processes: what a document holds may hang or end what looks at it.
"""

from retrieval.service.viewing.documents import View, page_picture, view

__all__ = ["View", "page_picture", "view"]
