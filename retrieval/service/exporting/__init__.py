"""What an index holds, written for another system: texts, metadata, dense and token vectors.

rows         every passage as one row, whatever system it goes to
systems      the systems by name, and what each needs
parquet, vespa, lancedb, qdrant   one system each: its schema and how rows are written to it
"""

from retrieval.service.exporting.rows import Row, rows
from retrieval.service.exporting.systems import SYSTEMS, ExportReport, export

__all__ = ["SYSTEMS", "ExportReport", "Row", "export", "rows"]
