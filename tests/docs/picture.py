"""The picture of a report in docs/reading-reports.md: these pages, searched.

python -m tests.docs.picture docs/report.png

Needs the extra `eval`, selenium, and Chromium with its driver.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retrieval.eval import evaluate, make_systems
from retrieval.eval.report import write_report
from retrieval.types import RETRIEVERS

ROOT = Path(__file__).parents[2]
SYSTEMS = ("late:dims=48,bits=4", "hybrid:fusion=rrf")
MEASURES = ("nDCG@10", "RR@10", "Success@5")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
SIZE = (1100, 1240)

ANSWERS = {
    "formats": {
        "can it read scanned or office files": "documents.md: Which formats",
        "are hidden folders skipped": "documents.md: Which files are read",
        "where does a document's id come from": "documents.md: Ids and metadata",
        "how long is a piece of text that is found": "documents.md: Passages",
        "read a model of sentence-transformers": "encoders.md: Other checkpoints",
        "write my own encoder": "encoders.md: An encoder of your own",
        "what does the index keep on disk when I delete": "index-format.md: Updates and deletes",
        "notice a flipped bit": "index-format.md: Checksums",
        "open an index that a newer version made": "errors.md: An index of a newer release",
        "somebody else holds the lock": "errors.md: Another process is writing",
        "no space left": "errors.md: The disk is full",
        "the process was killed for memory": "errors.md: Out of memory",
    },
    "searching": {
        "combine several rankings into one": "retrievers.md: Hybrid",
        "which retriever should I take": "retrievers.md: Which to choose",
        "bm25 and stemming": "retrievers.md: Lexical",
        "only files under a folder": "filters.md: Glob",
        "compare a number or a date of a document": "filters.md: Values",
        "how many bytes is a token vector": "late-interaction.md: Options",
        "which words of the passage matched": "late-interaction.md: What matched",
        "merge similar vectors": "late-interaction.md: Token pooling",
        "how good is the approximation": "late-interaction.md: What approximation costs",
        "search from several threads": "python-api.md: Threads and processes",
        "is the difference between two systems real": "reading-reports.md: The marks",
        "documents with equal scores": "evaluation.md: The protocol",
    },
}
"""For each collection, queries and the section that answers each."""


def main() -> None:
    """Measure, open the report in Chromium, save what it shows."""
    picture = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, answers in ANSWERS.items():
            write_collection(folder / name, sections(), answers)
        sources = [str(folder / name) for name in ANSWERS]
        systems = make_systems(RETRIEVERS, SYSTEMS)
        results = evaluate(sources, systems, folder / "out", measures=MEASURES)
        assert not results.failed, results.failed
        write_report(folder / "out", results)
        browser = opened(folder / "out" / "report.html", folder / "profile")
        try:
            browser.save_screenshot(str(picture))
        finally:
            browser.quit()


def sections() -> dict[str, str]:
    """The text of every section of the pages in docs/, by page and heading."""
    found: dict[str, str] = {}
    for page in sorted((ROOT / "docs").glob("*.md")):
        parts = re.split(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for heading, text in zip(parts[1::2], parts[2::2], strict=True):
            found[f"{page.name}: {heading}"] = text.strip()
    return found


def write_collection(folder: Path, texts: Mapping[str, str], answers: Mapping[str, str]) -> None:
    """Write a collection in BEIR's format."""
    missing = sorted(set(answers.values()) - set(texts))
    assert not missing, f"no such section: {missing}"

    def titled() -> Iterator[dict[str, Any]]:
        for id, text in texts.items():
            yield {"_id": id, "title": id.partition(": ")[2], "text": text}

    asked = [(f"q{number}", query) for number, query in enumerate(answers, start=1)]
    rows = {
        "corpus.jsonl": list(titled()),
        "queries.jsonl": [{"_id": id, "text": query} for id, query in asked],
        "qrels/test.jsonl": [
            {"query-id": id, "corpus-id": answers[query], "score": 1} for id, query in asked
        ],
    }
    for name, lines in rows.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def opened(page: Path, profile: Path) -> Any:
    """A browser that shows the page."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for option in (*OPTIONS, f"--user-data-dir={profile}", f"--window-size={SIZE[0]},{SIZE[1]}"):
        options.add_argument(option)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    browser.get(page.as_uri())
    return browser


if __name__ == "__main__":
    main()
