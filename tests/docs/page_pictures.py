"""The pictures of the search page in README.md and docs/serving.md: this project, searched.

python -m tests.docs.page_pictures docs

Needs the extra `server`, selenium, and Chromium with its driver.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from retrieval import Index
from retrieval.service.updating import update
from tests.docs.picture import ROOT, opened
from tests.server.conftest import running

FILES = ("README.md", "docs/*.md", "retrieval/server/*.py")
REPORT = ROOT / "tests" / "documents" / "pdf" / "files" / "libreoffice.pdf"
PATIENCE_S = 60


def main() -> None:
    """Index, serve, and save what the page shows."""
    pictures = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch) / "project"
        for pattern in FILES:
            for file in ROOT.glob(pattern):
                place = project / file.relative_to(ROOT)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, place)
        shutil.copy(REPORT, project / "report.pdf")
        with Index.create(project / "index") as index:
            update(index, [project])
        with running(project) as client:
            empty = project / "page.html"
            empty.write_text("")
            page = Page(opened(empty, Path(scratch) / "profile"), client.port, pictures)
            try:
                pictures_of(page)
            finally:
                page.browser.quit()


class Page:
    """The page in a browser."""

    def __init__(self, browser: Any, port: int, pictures: Path) -> None:
        self.browser, self._port, self._pictures = browser, port, pictures
        self.run = browser.execute_script

    def search(self, query: str) -> None:
        """Ask, and wait until what late interaction matched is marked, too."""
        self.browser.get(f"http://localhost:{self._port}/?q={quote(query)}")
        if query:
            self.until("document.querySelectorAll('.hit mark.m2, .hit mark.m1').length")
        self.until("document.querySelectorAll('.chip').length")

    def click(self, selector: str, text: str) -> None:
        """Click the first of these elements that has the text."""
        script = "[...document.querySelectorAll(arguments[0])]"
        self.run(
            f"{script}.find(e => e.textContent.includes(arguments[1])).click()", selector, text
        )

    def until(self, condition: str) -> None:
        """Wait."""
        end = time.monotonic() + PATIENCE_S
        while not self.run(f"return {condition}"):
            if time.monotonic() > end:
                raise TimeoutError(condition)
            time.sleep(0.05)

    def show(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Be so large, and of these colours."""
        colours = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": colours})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def save(self, name: str) -> None:
        """Save a picture."""
        self.browser.save_screenshot(str(self._pictures / name))


def pictures_of(page: Page) -> None:
    """Light, dark, on a telephone, and the view of the index."""
    page.show(1200, 720)
    page.search("who may ask the server")
    page.click(".hit", "serving.md")
    page.until("document.querySelector('.markdown .passage')")
    page.save("search-page.png")
    page.show(1200, 720, dark=True)
    page.search("where is the host header checked")
    page.click(".hit", "guard.py")
    page.until("document.querySelector('.code #passage')")
    page.save("search-page-dark.png")
    page.show(390, 720, phone=True)
    page.search("how much water did the pumps move")
    page.click(".hit", ".pdf")
    page.until("document.querySelector('#text img')?.naturalWidth")
    page.save("search-page-phone.png")
    page.show(1200, 720)
    page.search("")
    page.click("button", "Index")
    page.until("document.querySelectorAll('#overview details').length == 2")
    page.run("document.querySelector('#overview details').open = true")
    page.click("#overview button", "Measure")
    page.until("!document.querySelector('#overview .plain-button')")
    page.save("search-page-index.png")


if __name__ == "__main__":
    main()
