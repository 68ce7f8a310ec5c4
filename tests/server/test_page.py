"""The page at `/`: static, small, and documents on it are text, whatever they hold."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from retrieval import Document, Index
from retrieval.server import searching
from retrieval.server.page import FILES
from retrieval.service.searching import search_many
from retrieval.service.updating import update
from retrieval.types import TokenMatch
from tests.server.conftest import Client, Serve

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
in_chromium = pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="needs Chromium and its driver")
PDF = Path(__file__).parents[1] / "documents" / "pdf" / "files" / "libreoffice.pdf"
MOST_BYTES = 150_000


def source(name: str) -> str:
    return (resources.files("retrieval.server") / "static" / name).read_text("utf-8")


def test_the_files_are_served_and_small(client: Client) -> None:
    total = 0
    for path, (name, kind) in FILES.items():
        got = client.get(path)
        assert got.status == 200
        assert got.headers["content-type"].startswith(kind)
        assert got.body.decode() == source(name)
        total += len(got.body)
    assert total < MOST_BYTES


def test_the_page_needs_no_token_and_tells_nothing(serve: Serve) -> None:
    client = serve(token="t" * 20)
    for path in FILES:
        assert client.get(path).status == 200


def test_the_page_has_nothing_inline_and_nothing_of_another_host() -> None:
    page = source("page.html")
    assert not re.search(r"\son\w+=|style=|<style|<script>|javascript:", page)
    for name, _ in FILES.values():
        assert "//" not in re.sub(
            r'"http://www\.w3\.org/2000/svg"|^\s*//.*$|\s// .*$',
            "",
            source(name),
            flags=re.MULTILINE,
        )
    unsafe = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function"
    for name, kind in FILES.values():
        assert kind != "text/javascript" or not re.search(unsafe, source(name))


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    selenium = pytest.importorskip("selenium")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    assert selenium
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for option in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1100,700",
    ):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def until(condition: Callable[[], Any]) -> Any:
    """What the condition gives once it holds."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("nothing happened on the page")


@pytest.mark.slow
@in_chromium
def test_a_search_by_keyboard(client: Client, browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    hostile = (
        "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script> "
        "\x1b[31m\u202egnp\u202c 🦓 zebras graze\n" + "and more\n" * 200
    )
    with Index.open(client.folder / "notes") as index:
        index.add([Document("a/<b>&.md", hostile, "<h1>zebras</h1>", {"path": "a/<b>&.md"})])
    base = f"http://localhost:{client.port}"
    browser.get(f"{base}/")
    run = browser.execute_script

    def texts(selector: str) -> list[str]:
        found: list[str] = run(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector
        )
        return found

    keys = browser.switch_to.active_element
    assert keys.get_attribute("id") == "query"
    keys.send_keys("zebras graze")
    # A slow machine pauses between two keys, so that a part of the words may be searched first.
    until(lambda: "q=zebras+graze" in browser.current_url)
    until(lambda: texts("#hits:not([aria-busy]) .hit"))
    assert texts(".path")[0].startswith("a › <b>&.md:")
    assert set(texts(".hit:first-child .lines mark")) >= {"zebras", "graze"}
    assert "\x1b" not in texts(".lines")[0]
    assert "\u202e" not in texts(".lines")[0]
    assert "<img src=x" in texts(".lines")[0]
    keys.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP)
    assert run("return [...document.querySelectorAll('.hit')].findIndex(e => e.ariaCurrent)") == 0
    keys.send_keys(Keys.ENTER)
    until(lambda: texts("#passage"))
    assert {"zebras", "graze"} <= set(texts("#passage mark"))
    assert "<script>" in texts("#text")[0]
    assert "q=zebras+graze" in browser.current_url
    keys.send_keys(Keys.ESCAPE)
    assert run("return document.getElementById('document').hidden")
    keys.send_keys(Keys.ESCAPE)
    until(lambda: not texts(".hit"))
    run("document.activeElement.blur()")
    browser.find_element("tag name", "body").send_keys("/")
    assert run("return document.activeElement.id") == "query"
    keys.send_keys('where "')
    until(lambda: texts("#said")[0])
    assert run("return document.querySelectorAll('#hits img, #hits script, #text img').length") == 0
    assert browser.title == "retrieval"
    assert browser.get_log("browser") == []
    events = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    asked = {one["params"].get("request", {}).get("url", base) for one in events}
    assert all(url.startswith((base, "data:", "chrome")) for url in asked), asked


@contextlib.contextmanager
def under(prefix: str, client: Client) -> Iterator[int]:
    """The port of a proxy that takes a path off and passes all else on, `Host` included."""

    class Proxy(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.removeprefix(prefix)
            got = client.ask(self.command, path, body or None, dict(self.headers))
            self.send_response(got.status)
            for name, value in got.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(got.body)

        do_GET = do_POST = pass_on  # noqa: N815 -- as http.server calls them

        def log_message(self, *said: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield proxy.server_port
        finally:
            proxy.shutdown()
            thread.join()


@pytest.mark.slow
@in_chromium
def test_the_page_under_a_path_of_a_proxy(client: Client, browser: Any) -> None:
    with Index.open(client.folder / "notes") as index:
        index.add([Document("zoo.md", "zebras graze", "Zoo")])
    with under("/team/search", client) as port:
        base = f"http://localhost:{port}/team/search/"
        browser.get(f"{base}?q=zebras")
        run = browser.execute_script
        until(lambda: run("return document.querySelectorAll('.hit').length"))
        browser.find_element("css selector", ".hit").click()
        until(lambda: "graze" in run("return document.getElementById('text').textContent"))
        events = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
        asked = {one["params"].get("request", {}).get("url", base) for one in events}
        assert all(url.startswith((base, "data:", "chrome")) for url in asked), asked
        assert browser.get_log("browser") == []


@pytest.mark.slow
@in_chromium
def test_one_search_a_pause_and_none_is_waited_for_that_was_typed_over(
    client: Client, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    go = threading.Event()

    def searched(index: Any, queries: Any, options: Any, **given: Any) -> Any:
        if not options.explain:  # which the page asks for once more, when nobody types
            asked.append(queries[0])
        if queries[0] == "slow":
            go.wait(60)
        return search_many(index, queries, options, **given)

    monkeypatch.setattr(searching, "search_many", searched)
    browser.get(f"http://localhost:{client.port}/")
    run = browser.execute_script

    def type_(text: str) -> None:
        run(
            "const box = document.getElementById('query'); box.value = '';"
            "for (const sign of arguments[0]) {"
            "  box.value += sign; box.dispatchEvent(new Event('input'));"
            "}",
            text,
        )

    try:
        type_("slow")
        until(lambda: asked)
        assert asked == ["slow"]
        type_("waits")
        until(lambda: run("return document.querySelectorAll('.hit').length"))
        assert asked == ["slow", "waits"]
    finally:
        go.set()
    events = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    bodies = {
        one["params"]["requestId"]: one["params"]["request"].get("postData", "")
        for one in events
        if one["method"] == "Network.requestWillBeSent"
    }
    failed = [one["params"] for one in events if one["method"] == "Network.loadingFailed"]
    cancelled = [bodies.get(one["requestId"], "") for one in failed if one["canceled"]]
    assert [json.loads(body)["query"] for body in cancelled] == ["slow"]
    assert run("return new URLSearchParams(location.search).get('q')") == "waits"


@pytest.mark.slow
@in_chromium
@pytest.mark.parametrize("width", [1200, 390])
def test_nothing_stands_beyond_the_edge(client: Client, browser: Any, width: int) -> None:
    long = "x" * 500
    with Index.open(client.folder / "notes") as index:
        index.add([Document(f"{long}.md", f"zebras {long}", long)])
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.get(f"http://localhost:{client.port}/?q=zebras")
    run = browser.execute_script
    until(lambda: run("return document.querySelectorAll('.hit').length"))
    run("document.querySelector('.hit').click()")
    until(lambda: not run("return document.getElementById('document').hidden"))
    assert run("return document.documentElement.scrollWidth") <= width


@pytest.mark.slow
@in_chromium
def test_the_page_asks_for_the_token(serve: Serve, browser: Any) -> None:
    client = serve(token="t" * 20)
    browser.get(f"http://localhost:{client.port}/?q=waits")
    run = browser.execute_script
    until(lambda: not run("return document.getElementById('login').hidden"))
    browser.find_element("id", "token").send_keys("t" * 20 + "\n")
    until(lambda: run("return document.querySelectorAll('.hit').length"))


@pytest.mark.slow
@in_chromium
def test_tokens_that_late_interaction_matched_are_marked(
    client: Client, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explain(self: Index, query: str, hits: Any) -> list[tuple[TokenMatch, ...]]:
        spans = ((0, 6), (13, 19), (20, 24), (25, 29))
        scores = (1.0, 0.7, 0.4, 0.1)
        return [
            tuple(
                TokenMatch("wander", (7, 13), hit.text[start:end], (start, end), score)
                for (start, end), score in zip(spans, scores, strict=True)
            )
            for hit in hits
        ]

    monkeypatch.setattr(Index, "explain", explain)
    with Index.open(client.folder / "notes") as index:
        index.add([Document("z", "zebras graze\nbeside gnus that migrate")])
    browser.get(f"http://localhost:{client.port}/?q=zebras+wander")
    run = browser.execute_script

    def marks(kind: str) -> list[str]:
        found: list[str] = run(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)",
            f"li:first-child mark.{kind}",
        )
        return found

    until(lambda: marks("m3"))
    assert marks("m3") == ["zebras"]
    until(lambda: marks("m1"))
    assert (marks("m2"), marks("m1")) == (["beside"], ["gnus"])  # "that" is too weak
    assert run("return document.querySelector('.hit .lines').textContent").startswith("zebras")
    assert browser.get_log("browser") == []


@pytest.mark.slow
@in_chromium
def test_the_index_is_shown_and_filters_by_what_is_in_it(
    client: Client, browser: Any, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    (files / "<i>").mkdir(parents=True)
    (files / "<i>" / "zebras.md").write_text("# Zebras\n\nZebras graze.\n")
    (files / "zebras.py").write_text("def zebras():\n    return 'graze'\n")
    (files / "<b>.bin").write_bytes(b"\0\1\2")
    with Index.open(client.folder / "notes") as index:
        update(index, [files])
    browser.get(f"http://localhost:{client.port}/?q=zebras")
    run = browser.execute_script
    until(lambda: run("return document.querySelectorAll('.hit').length"))
    browser.find_element("id", "about").click()
    until(lambda: run("return document.querySelectorAll('#overview details').length") == 2)
    shown = run("return document.getElementById('overview').textContent")
    for part in ("5 documents", "markdown", "python", "files/<i>", "binary1", "<b>.bin"):
        assert part in shown, part
    assert run("return document.querySelectorAll('#overview i, #overview b').length") == 0
    run("[...document.querySelectorAll('.filter')].find(e => e.textContent == 'python').click()")
    # `src/lock.py` is Python, too.
    until(lambda: run("return document.querySelectorAll('.hit').length") == 2)
    assert run("return document.querySelector('.chip').textContent") == "language: python ×"
    assert run("return document.getElementById('overview').hidden")
    run("document.querySelector('.chip').click()")
    until(lambda: run("return document.querySelectorAll('.hit').length") > 2)
    browser.find_element("id", "about").click()
    until(lambda: run("return document.querySelectorAll('#overview .filter').length"))
    run("[...document.querySelectorAll('.filter')].find(e => e.textContent == 'files/<i>').click()")
    until(lambda: run("return document.querySelectorAll('.hit').length") == 1)
    assert "zebras.md" in run("return document.querySelector('.path').textContent")
    assert browser.get_log("browser") == []


def opened(browser: Any, client: Client, query: str, name: str) -> None:
    """Search, and open the hit of a document."""
    browser.get(f"http://localhost:{client.port}/?q={query}")
    run = browser.execute_script
    until(lambda: run("return document.querySelectorAll('.hit').length"))
    until(lambda: run("return document.querySelectorAll('.chip').length"))
    script = (
        "[...document.querySelectorAll('.hit')].find(e => e.textContent.includes('%s')).click()"
    )
    run(script % name)
    until(lambda: not run("return document.getElementById('document').hidden"))


@pytest.mark.slow
@in_chromium
def test_documents_are_shown_as_what_they_are(client: Client, browser: Any, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "zebra.md").write_text(
        "# Zebras\n\n" + "Filler.\n\n" * 60 + "## Grazing\n\n- zebras *graze* <b>here</b> "
        "<img src=x onerror=\"document.title='hacked'\">\n"
        "- [a](javascript:document.title='hacked') [b](https://example.org/)\n\n"
        "```python\ndef zebra(): return 'x'\n```\n"
    )
    code = "import os\n\n\ndef zebras():\n    # they graze\n    return 1\n"
    (files / "zebra.py").write_text(code)
    shutil.copy(PDF, files / "mill.pdf")
    with Index.open(client.folder / "notes") as index:
        update(index, [files])
    run = browser.execute_script

    def shown(selector: str) -> list[str]:
        found: list[str] = run(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)",
            f"#text {selector}",
        )
        return found

    opened(browser, client, "zebras+graze", "zebra.md")
    until(lambda: shown(".passage"))
    assert shown("h2") == ["Grazing"]
    assert {"zebras", "graze"} <= {word.lower() for word in shown(".passage mark")}
    assert "<b>here</b> <img src=x onerror=" in " ".join(shown("li"))
    assert shown(":is(b, img, script)") == []
    assert run("return [...document.querySelectorAll('#text a[href]')].map(e => e.href)") == [
        "https://example.org/"
    ]
    assert shown(".c-keyword")[:1] == ["def"]
    top = "document.getElementById('passage').getBoundingClientRect().top"
    assert 0 < run(f"return {top}") < 700  # the place is in view
    run("document.getElementById('plain').click()")
    assert shown("h2") == []
    assert "## Grazing" in run("return document.getElementById('text').textContent")

    opened(browser, client, "zebras+graze", "zebra.py")
    until(lambda: shown(".c-keyword"))
    assert "import" in shown(".c-keyword")
    assert any("zebras" in part for part in shown("#passage mark"))
    text = run("return document.getElementById('text').textContent")
    assert text == code

    opened(browser, client, "pumps+water", "mill.pdf")
    until(lambda: run("return document.querySelector('#text img')?.naturalWidth"))
    assert "page 1" in run("return document.querySelector('.about').textContent")
    assert run("return document.getElementById('number').textContent") == "1 of 1"
    browser.find_element("id", "text").send_keys("t")
    until(lambda: "yearly report" in run("return document.getElementById('text').textContent"))
    assert browser.title == "retrieval"
    assert browser.get_log("browser") == []


@pytest.mark.slow
@in_chromium
def test_similar_passages_and_chips_by_keyboard(client: Client, browser: Any) -> None:
    with Index.open(client.folder / "notes") as index:
        index.add(
            [
                Document(f"z{at}", f"zebras graze in the year {at}", metadata={"herd": herd})
                for at, herd in enumerate(["north", "north", 'so"uth'])
            ]
        )
    opened(browser, client, "zebras", "z1")
    run = browser.execute_script
    chips = "return [...document.querySelectorAll('.chip')].map(e => e.textContent)"
    assert {"north2", 'so"uth1'} <= set(run(chips))
    browser.find_element("id", "text").send_keys("s")
    until(lambda: "passages like z1:1" in run("return document.getElementById('said').textContent"))
    paths = "return [...document.querySelectorAll('.path')].map(e => e.textContent)"
    assert not any(path.startswith("z1:") for path in run(paths))
    chip = "[...document.querySelectorAll('.chip')].find(e => e.textContent.startsWith('so'))"
    run(f"{chip}.focus()")
    browser.switch_to.active_element.send_keys(" ")
    until(lambda: run(paths) == ["z2:1"])
    assert run("return document.querySelector('.chip').ariaPressed") == "true"
    run("document.querySelector('.chip').click()")
    until(lambda: len(run(paths)) > 1)
    assert browser.get_log("browser") == []


@pytest.mark.slow
@in_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(client: Client, browser: Any, scheme: str) -> None:
    axe = Path(os.environ.get("RETRIEVAL_TEST_AXE", "node_modules/axe-core/axe.min.js"))
    if not axe.is_file():
        pytest.skip("axe-core is not installed; RETRIEVAL_TEST_AXE names its axe.min.js")
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    shutil.copy(PDF, client.folder / "mill.pdf")
    with Index.open(client.folder / "notes") as index:
        update(index, [client.folder / "mill.pdf"])
    browser.get(f"http://localhost:{client.port}/?q=waits")
    run = browser.execute_script
    until(lambda: run("return document.querySelectorAll('.hit mark').length"))

    def serious() -> list[str]:
        browser.execute_cdp_cmd("Runtime.evaluate", {"expression": axe.read_text("utf-8")})
        found = browser.execute_async_script("axe.run().then(arguments[0])")["violations"]
        return [one["id"] for one in found if one["impact"] in ("serious", "critical")]

    assert serious() == []
    for name, kind in (("locks.md", "markdown"), ("lock.py", "code"), ("mill.pdf", "pages")):
        opened(browser, client, "waits", name)
        until(lambda kind=kind: run("return document.getElementById('text').className") == kind)
        assert serious() == [], kind
    run("document.getElementById('about').click()")
    until(lambda: run("return document.querySelectorAll('#overview table').length"))
    assert serious() == []
