"""Office files and books: zips of XML parts, and workbooks.

package     a zip, opened within limits
xml_parts   XML to a tree, without entities
flow        a text that is put together block by block
properties  what a file says of itself
numbering   numbers of list items and headings
docx        Word documents; docx_styles their styles and lists
drawings    charts and diagrams of OOXML files
pptx        presentations
epub        books; squeezed takes blank lines out of their pages
sheets      workbooks
regions     the tables of a sheet and their headers
rtf         texts in Rich Text Format
odf         OpenDocument texts, presentations, drawings; odf_styles their styles
"""

from retrieval.documents.formats.office import docx, epub, odf, pptx, rtf, sheets

FORMATS = (
    *docx.FORMATS,
    *pptx.FORMATS,
    *odf.FORMATS,
    *sheets.FORMATS,
    *epub.FORMATS,
    *rtf.FORMATS,
)
