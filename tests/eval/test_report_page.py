"""The page in a real browser: Chromium without a window, wide and as narrow as a telephone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retrieval.eval.report import write_report
from retrieval.eval.results import Efficiency, Results, Row
from tests.eval.samples_of_results import write_sample

webdriver: Any = pytest.importorskip("selenium.webdriver", reason="needs selenium")
service: Any = pytest.importorskip("selenium.webdriver.chrome.service")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="needs Chromium and its driver"),
]

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
CELLS = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
WIDTHS = [1200, 390]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=service.Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    folder = tmp_path_factory.mktemp("results")
    found = write_sample(folder)
    write_report(folder, found)
    return folder / "report.html", found


@pytest.fixture(params=WIDTHS)
def opened(request: pytest.FixtureRequest, browser: Any, sample: tuple[Path, Results]) -> Any:
    _resize(browser, request.param)
    browser.get_log("browser")
    browser.get(sample[0].as_uri())
    yield browser
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.hurt === undefined")


def _resize(browser: Any, width: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 850, "deviceScaleFactor": 1, "mobile": width < 500},
    )


def _texts(browser: Any, selector: str) -> list[str]:
    found: list[str] = browser.execute_script(CELLS, selector)
    return found


def _click(browser: Any, selector: str, at: int = 0) -> None:
    element = browser.find_elements("css selector", selector)[at]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def _choose(browser: Any, field: str, value: str) -> None:
    browser.execute_script(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change'))",
        field,
        value,
    )


def _values(sample: Results, system: str, measure: str) -> list[str]:
    return [f"{r.value:.4f}" for r in sample.rows if (r.system, r.measure) == (system, measure)]


def _column(browser: Any, at: int) -> list[str]:
    return _texts(browser, f"#table tbody td:nth-child({at}) .value")


def test_it_shows_the_figures_and_marks(opened: Any, sample: tuple[Path, Results]) -> None:
    for at, system in enumerate(sample[1].systems, 2):
        found = [text.split()[0] for text in _column(opened, at)]
        assert found == _values(sample[1], system, "nDCG@10")
    assert [text[-1] for text in _column(opened, 4)] == ["▲", "▲"]
    assert _texts(opened, "#failed li") == ["fiqa failed: corpus.jsonl:7 cannot be read | not JSON"]
    assert len(_texts(opened, "#protocols details")) == 2
    assert "2 judgements name unknown documents" in _texts(opened, "#protocols dd")


def test_nothing_is_wider_than_the_page(opened: Any) -> None:
    _click(opened, "#drill tbody button")
    wide, inner = opened.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide <= inner
    # The figures themselves are within reach: their table scrolls by itself where it must.
    table, room = opened.execute_script(
        "const s = document.querySelector('#table').parentElement;"
        "return [s.scrollWidth, s.clientWidth]"
    )
    assert room <= inner
    assert table >= room


def test_it_sorts_by_any_column_both_ways(opened: Any) -> None:
    names = "#table tbody th"
    found = _texts(opened, names)
    _click(opened, "#table thead button", 0)
    assert _texts(opened, names) == sorted(found)
    _click(opened, "#table thead button", 0)
    assert _texts(opened, names) == sorted(found, reverse=True)
    _click(opened, "#table thead button", 1)
    column = [float(text.split()[0]) for text in _column(opened, 2)]
    assert column == sorted(column, reverse=True)
    sorts = "return [...document.querySelectorAll('#table thead th')].map(e => e.ariaSort)"
    assert opened.execute_script(sorts) == ["none", "descending", "none", "none"]


def test_it_filters_by_measure_system_and_collection(
    opened: Any, sample: tuple[Path, Results]
) -> None:
    _choose(opened, "measure", "R@100")
    assert [t.split()[0] for t in _column(opened, 2)] == _values(sample[1], "bm25", "R@100")
    for summary in (0, 1):
        _click(opened, "#choices summary", summary)
    _click(opened, "#systems input", 1)
    assert _texts(opened, "#table thead th") == ["collection", "bm25", "embedded late"]
    assert len(_texts(opened, "#latency circle")) == 2
    _click(opened, "#collections input", 0)
    assert _texts(opened, "#table tbody th") == ["beir/nfcorpus40 queries"]
    assert _texts(opened, "#table tfoot") == []


def test_the_reference_can_be_changed(opened: Any) -> None:
    _choose(opened, "reference", "embedded late")
    assert [text[-1] for text in _column(opened, 2) + _column(opened, 3)] == ["▼"] * 4
    assert "worse than embedded late" in _texts(opened, "#legend")[0]


def test_it_draws_quality_against_cost(opened: Any) -> None:
    for plot in ("latency", "size"):
        assert _texts(opened, f"#{plot} .name") == [
            "bm25",
            "sentence-transformers/all-MiniLM-L6-v2, 128 tokens",
            "embedded late",
        ]
        xs = opened.execute_script(
            f"return [...document.querySelectorAll('#{plot} circle')].map(e => e.cx.baseVal.value)"
        )
        assert xs == sorted(xs)
    assert "9,000" in _texts(opened, "#efficiency td")
    _choose(opened, "collection", "beir/nfcorpus")
    assert len(_texts(opened, "#size circle")) == 3


def test_it_drills_down_to_passages_side_by_side(opened: Any) -> None:
    assert len(_texts(opened, "#drill tbody tr")) == 25
    _click(opened, "#more")
    assert len(_texts(opened, "#drill tbody tr")) == 50
    _click(opened, "#drill tbody button")
    assert _texts(opened, ".sides h3") == [
        "bm25",
        "sentence-transformers/all-MiniLM-L6-v2, 128 tokens",
        "embedded late",
    ]
    tops = opened.execute_script(
        "return [...document.querySelectorAll('.sides h3')].map(e => e.getBoundingClientRect().top)"
    )
    assert len(set(tops)) == 1
    assert {"Zinc", "colds"} <= set(_texts(opened, ".sides mark"))
    assert "</script><script>window.hurt" in _texts(opened, ".sides li")[0]
    assert "  ✓ relevant (2)" in _texts(opened, ".sides .relevant")
    _click(opened, "#drill tbody button")
    assert _texts(opened, ".sides h3") == []


def test_queries_are_found_by_their_words(opened: Any) -> None:
    opened.find_element("id", "find").send_keys("COLDS 17")
    assert _texts(opened, "#drill tbody button") == ["does zinc help against colds 17"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_day_and_by_night(
    browser: Any, sample: tuple[Path, Results], scheme: str
) -> None:
    _resize(browser, 390)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    browser.get(sample[0].as_uri())
    colours = browser.execute_script(
        "const s = e => getComputedStyle(document.querySelector(e));"
        "return ['body', '.faint', '.interval', '.better'].map(e => s(e).color)"
        ".concat(s('body').backgroundColor)"
    )
    *inks, ground = [_luminance(colour) for colour in colours]
    assert (ground < 0.5) == (scheme == "dark")
    for ink in inks:  # WCAG AA
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5


def _luminance(colour: str) -> float:
    """Of `rgb(r, g, b)`, as WCAG 2 defines it."""
    parts = [int(part) / 255 for part in colour.split("(")[1].rstrip(")").split(",")[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_page_of_nothing_has_no_errors(browser: Any, tmp_path: Path) -> None:
    nothing = Results("", {}, {}, (), (), (), {}, {"scifact": "no such folder"})
    write_report(tmp_path, nothing)
    browser.get_log("browser")
    browser.get((tmp_path / "report.html").as_uri())
    assert _texts(browser, "#failed li") == ["scifact failed: no such folder"]
    assert browser.get_log("browser") == []


NAMES = "return [...document.querySelectorAll('#latency .name, #latency .key li')]" + (
    ".map(e => [e.textContent, e.value || 0, ...Object.values(e.getBoundingClientRect().toJSON())])"
)


def test_many_systems_are_numbered_and_no_number_covers_another(
    browser: Any, tmp_path: Path
) -> None:
    systems = [f"late:dims={8 * n},bits=2" for n in range(2, 16)]
    rows = tuple(
        Row("birds", "test", name, "nDCG@10", 0.4 + at / 500, 0.3, 0.5, 9)
        for at, name in enumerate(systems)
    )
    costs = tuple(Efficiency("birds", name, p50_ms=5 + at / 20) for at, name in enumerate(systems))
    write_report(tmp_path, Results("", {}, {}, rows, costs, (), {}))
    _resize(browser, 1200)
    browser.get((tmp_path / "report.html").as_uri())
    found = browser.execute_script(NAMES)
    drawn, legend = found[: len(systems)], found[len(systems) :]
    assert [name for name, *_ in drawn] == [str(n) for n in range(1, 15)]
    best_first = [(name, 14 - at) for at, name in enumerate(reversed(systems))]
    assert [(name, number) for name, number, *_ in legend] == best_first
    boxes = [(x, y, x + width, y + height) for _, _, x, y, width, height, *_ in drawn]
    for at, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[:at]:
            apart = other[0] >= right or other[2] <= left or other[1] >= bottom - 6
            assert apart or other[3] - 6 <= top
