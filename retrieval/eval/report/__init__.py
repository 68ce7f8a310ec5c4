"""Reports of an evaluation: one page that opens offline, and Markdown."""

from __future__ import annotations

from pathlib import Path

from retrieval.eval.report.data import report_data
from retrieval.eval.report.markdown import markdown
from retrieval.eval.report.page import page
from retrieval.eval.results import Results
from retrieval.files.whole import write_whole

__all__ = ["markdown", "page", "write_report"]


def write_report(folder: Path, results: Results, *, texts: bool = True) -> None:
    """Write `report.html` and `report.md` into a folder of results.

    Args:
        folder: where the runs are, and the texts if any were kept.
        texts: show queries and passages; False for a page that may be published where the
            collections' texts may not.

    Raises:
        InputError: a run or the texts are damaged.
    """
    data = report_data(folder, results, texts=texts)
    write_whole(folder / "report.md", markdown(results, data.marks))
    write_whole(folder / "report.html", page(results, data))
