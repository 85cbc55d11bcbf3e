"""Both pages in a real Chromium, with texts that try to break out: `apt-get install chromium chromium-driver`."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from comparison_views import found, row
from report_views import full_view

from coresift.report import theme
from coresift.report.comparison_page import write_comparison
from coresift.report.page import write_report

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="chromium and chromedriver are not installed"),
    pytest.mark.slow,
]
HOSTILE = [
    "<script>window.broken=1</script>",
    "</script><script>window.broken=1</script>",
    '"><img src="http://127.0.0.1:9/x" onerror="window.broken=1">',
    "<iframe src='http://127.0.0.1:9/'></iframe>",
    "word" * 400,
    "\u202eright to left\u2066 \u0000 tab\tnew\nline",
    "javascript:window.broken=1",
    '=HYPERLINK("http://127.0.0.1:9/")',
]
WIDER = """return Array.from(document.querySelectorAll("main *")).filter(function (each) {
  if (each.closest(".scroll") && !each.classList.contains("scroll")) return false;
  const box = each.getBoundingClientRect();
  return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
}).map(function (each) { return each.tagName + "." + each.className; });"""
REACHED = """const all = "a[href], summary, select, input, button:not([hidden]), canvas[tabindex], .scroll[tabindex]";
return Array.from(document.querySelectorAll(all)).filter(function (each) {
  return each.checkVisibility() && each.tabIndex < 0;
}).length;"""
CONTRAST = """const parse = function (c) { return c.match(/[\\d.]+/g).map(Number); };
const light = function (c) { return c.slice(0, 3).map(function (v) { v /= 255;
  return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); })
  .reduce(function (sum, v, i) { return sum + v * [0.2126, 0.7152, 0.0722][i]; }, 0); };
const behind = function (each) { while (each) { const c = parse(getComputedStyle(each).backgroundColor);
  if (c.length < 4 || c[3] === 1) return c; each = each.parentElement; } return [255, 255, 255]; };
return Array.from(document.querySelectorAll("main p, main td, main th, main a, main summary, main dt, main dd, nav a"))
  .filter(function (each) { return each.checkVisibility() && each.textContent.trim(); }).map(function (each) {
    const a = light(parse(getComputedStyle(each).color)), b = light(behind(each));
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), each.tagName + " " + each.className]; })
  .sort(function (x, y) { return x[0] - y[0]; })[0];"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for each in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    texts = (HOSTILE * 10)[:80]
    view = replace(
        full_view(n=80, k=30),
        name=HOSTILE[0],
        texts=texts,
        ids=[f"{place}{text}" for place, text in enumerate(texts)],
        example_sources=texts,
        notes=HOSTILE,
        nearest=[place % 30 for place in range(80)],
        distances=[float(place) for place in range(80)],
    )
    view = replace(view, pool={**view.pool, "notes": HOSTILE, "copies": {int(view.indices[0]): 2}})
    bad = [row("random", 0.5, control=True), *(row(each, 0.55, "resolved better") for each in HOSTILE)]
    compared = found(name=HOSTILE[1], tables=[{**found()["tables"][1], "rows": bad}])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theme, "DOTS_PER_INCH", 30)
        return {
            "run": write_report(view, folder / "run"),
            "comparison": write_comparison(compared, folder / "comparison"),
        }


def opened(browser: Any, page: Path, *, width: int = 1280, scheme: str = "light") -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())


@pytest.mark.parametrize("kind", ["run", "comparison"])
def test_a_page_of_hostile_texts_runs_nothing_asks_for_nothing_and_complains_of_nothing(browser, pages, kind) -> None:
    import json

    browser.get_log("performance"), browser.get_log("browser")
    opened(browser, pages[kind])
    browser.execute_script("document.querySelectorAll('details').forEach(function (each) { each.open = true; });")
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.broken === undefined && !document.querySelector('main iframe')")
    messages = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [pages[kind].as_uri()]


@pytest.mark.parametrize("kind", ["run", "comparison"])
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")])
def test_no_text_is_wider_than_the_screen_and_all_of_it_stands_out(browser, pages, kind, width, scheme) -> None:
    opened(browser, pages[kind], width=width, scheme=scheme)
    browser.execute_script("document.querySelectorAll('details').forEach(function (each) { each.open = true; });")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(WIDER) == []
    contrast, where = browser.execute_script(CONTRAST)
    assert contrast >= 4.5, where


@pytest.mark.parametrize("kind", ["run", "comparison"])
def test_every_control_can_be_reached_by_keyboard(browser, pages, kind) -> None:
    opened(browser, pages[kind])
    assert browser.execute_script(REACHED) == 0


def test_picks_are_found_by_their_words_and_opened_by_keyboard(browser, pages) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    opened(browser, pages["run"])
    rows = "#picks-list > details"
    assert len(browser.find_elements(By.CSS_SELECTOR, rows)) == 25
    browser.find_element(By.ID, "picks-more").send_keys(Keys.ENTER)
    assert len(browser.find_elements(By.CSS_SELECTOR, rows)) == 30
    browser.find_element(By.ID, "picks-query").send_keys("onerror")
    kept = browser.find_elements(By.CSS_SELECTOR, rows)
    assert 0 < len(kept) < 30 and all("onerror" in each.text for each in kept)
    summary = kept[0].find_element(By.TAG_NAME, "summary")
    summary.send_keys(Keys.ENTER)
    assert HOSTILE[2] in kept[0].find_element(By.CSS_SELECTOR, ".text").text
    browser.find_element(By.ID, "picks-query").send_keys(Keys.CONTROL, "a", Keys.DELETE)
    order = browser.find_element(By.ID, "picks-order")
    order.send_keys("heaviest")
    weights = [float(each.text.split()[1]) for each in browser.find_elements(By.CSS_SELECTOR, f"{rows} b")]
    assert weights == sorted(weights, reverse=True)


def test_what_is_folded_on_the_screen_is_open_on_paper(browser, pages) -> None:
    opened(browser, pages["run"])
    shut = "return document.querySelectorAll('details:not([open]):not([data-screen])').length"
    before = browser.execute_script(shut)
    assert before > 0
    assert browser.execute_script(f"window.dispatchEvent(new Event('beforeprint')); {shut}") == 0
    assert browser.execute_script(f"window.dispatchEvent(new Event('afterprint')); {shut}") == before
