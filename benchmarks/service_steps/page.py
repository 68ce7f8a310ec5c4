"""The page in Chromium: when hits are drawn, and how much the page has."""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from retrieval.errors import MissingDependency
from service_steps.processes import Server

PATIENCE_S = 60.0

# Of the newest search: when its answer was whole, and when a frame with its hits had been drawn.
WATCH = """
window.drawn = 0;
new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => {
  if (document.querySelector('.hit')) window.drawn = performance.now();
}))).observe(document.getElementById('hits'), { childList: true });
"""
TIMES = """
const answers = performance.getEntriesByType('resource')
  .filter((one) => one.name.endsWith('/search') && one.responseEnd > 0);
const last = answers.at(-1);
return last && window.drawn > last.responseEnd ? window.drawn - last.responseEnd : null;
"""


def drawing(server: Server, queries: Sequence[str]) -> Any:
    """Milliseconds from an answer's last byte until its hits are drawn, query by query."""
    base = f"http://localhost:{server.port}/"
    with browsing() as browser:
        browser.get(base)
        browser.execute_script(WATCH)
        box = browser.find_element("id", "query")
        milliseconds = []
        for query in queries:
            box.clear()
            browser.execute_script("performance.clearResourceTimings(); window.drawn = 0;")
            box.send_keys(query)
            milliseconds.append(_found(browser))
        events = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    asked = {one["requestId"]: one["request"]["url"] for one in _of(events, "requestWillBeSent")}
    own = {id for id, url in asked.items() if url.startswith(base) and "/v1/" not in url}
    files = [one for one in _of(events, "loadingFinished") if one["requestId"] in own]
    return {
        "queries": len(queries),
        "ms_after_the_answer": {
            "median": round(statistics.median(milliseconds), 1),
            "most": round(max(milliseconds), 1),
        },
        "files": len(files),
        "bytes_of_files": round(sum(one["encodedDataLength"] for one in files)),
    }


def _of(events: Sequence[Any], what: str) -> list[Any]:
    return [one["params"] for one in events if one["method"] == f"Network.{what}"]


def _found(browser: Any) -> float:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        time.sleep(0.5)  # until nothing is typed any more, and what late interaction matched is in
        if (taken := browser.execute_script(TIMES)) is not None:
            return float(taken)
    raise RuntimeError(f"no hits were drawn within {PATIENCE_S:g} s")


@contextmanager
def browsing() -> Iterator[Any]:
    """Chromium without a window.

    Raises:
        MissingDependency: Chromium, its driver or selenium is not installed.
    """
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        driver = None
    if not chromium or not driver:
        raise MissingDependency("the part `page` needs Chromium, its driver and selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    with tempfile.TemporaryDirectory() as profile:
        for option in (
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            f"--user-data-dir={profile}",
            "--window-size=1100,700",
        ):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        browser = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield browser
        finally:
            browser.quit()
