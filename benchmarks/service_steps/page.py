"""The search page in Chromium: when hits are drawn, and how many bytes the page loads."""

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

TIMEOUT_S = 60.0

# Of the newest search: milliseconds from the last byte of its answer until its hits were drawn.
WATCH = """
window.drawn = 0;
new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => {
  if (document.querySelector('.hit')) window.drawn = performance.now();
}))).observe(document.getElementById('hits'), { childList: true });
"""
MEASURE = """
const answers = performance.getEntriesByType('resource')
  .filter((one) => one.name.endsWith('/search') && one.responseEnd > 0);
const last = answers.at(-1);
return last && window.drawn > last.responseEnd ? window.drawn - last.responseEnd : null;
"""


def drawing_latencies(server: Server, queries: Sequence[str]) -> Any:
    """Milliseconds from the last byte of each query's answer until its hits are drawn."""
    base = f"http://localhost:{server.port}/"
    with chromium() as browser:
        browser.get(base)
        browser.execute_script(WATCH)
        box = browser.find_element("id", "query")
        milliseconds = []
        for query in queries:
            box.clear()
            browser.execute_script("performance.clearResourceTimings(); window.drawn = 0;")
            box.send_keys(query)
            milliseconds.append(_wait_for_hits(browser))
        events = [
            json.loads(event["message"])["message"] for event in browser.get_log("performance")
        ]
    urls = {
        event["requestId"]: event["request"]["url"]
        for event in _params_of(events, "requestWillBeSent")
    }
    page_requests = {id for id, url in urls.items() if url.startswith(base) and "/v1/" not in url}
    files = [
        event
        for event in _params_of(events, "loadingFinished")
        if event["requestId"] in page_requests
    ]
    return {
        "queries": len(queries),
        "ms_after_the_answer": {
            "median": round(statistics.median(milliseconds), 1),
            "most": round(max(milliseconds), 1),
        },
        "files": len(files),
        "bytes_of_files": round(sum(event["encodedDataLength"] for event in files)),
    }


def _params_of(events: Sequence[Any], kind: str) -> list[Any]:
    """The parameters of the network events of one kind."""
    return [event["params"] for event in events if event["method"] == f"Network.{kind}"]


def _wait_for_hits(browser: Any) -> float:
    """Milliseconds until the newest search's hits were drawn, once typing has settled."""
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        time.sleep(
            0.5
        )  # until the last keystroke's search and its late-interaction highlights are in
        if (elapsed_ms := browser.execute_script(MEASURE)) is not None:
            return float(elapsed_ms)
    raise RuntimeError(f"no hits were drawn within {TIMEOUT_S:g} s")


@contextmanager
def chromium() -> Iterator[Any]:
    """Headless Chromium.

    Raises:
        MissingDependency: Chromium, its driver or selenium is not installed.
    """
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        driver = None
    if not binary or not driver:
        raise MissingDependency("the part `page` needs Chromium, its driver and selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
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
