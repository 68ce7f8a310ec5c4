"""Writing the contents of an index for another system: texts, metadata, dense and token vectors.

rows         every passage as one row, for any system
systems      the systems by name, and the libraries they need
parquet, vespa, lancedb, qdrant   one system each: its schema and how rows are written to it
"""

from retrieval.service.exporting.rows import Row, rows
from retrieval.service.exporting.systems import SYSTEMS, ExportReport, export

__all__ = ["SYSTEMS", "ExportReport", "Row", "export", "rows"]
