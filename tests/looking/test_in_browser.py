"""The page as people see it: in Chromium, without a window and without a network."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emoset.looking import report

FLAGS = (
    "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
    "disable-component-update", "disable-sync", "disable-dev-shm-usage", "mute-audio", "hide-scrollbars",
    "autoplay-policy=no-user-gesture-required", "window-size=1280,900",
)  # fmt: skip

# One after the other, with one browser.
pytestmark = pytest.mark.xdist_group("browser")


def _lacking(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{what} must be installed on CI")
    pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not (program and driver):
        _lacking("Chromium with its driver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        _lacking("selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def address(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return report(data_dir, tmp_path_factory.mktemp("page") / "report.html", progress=False).as_uri()


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """The page just opened; whatever a test does with it, nothing may go to the console."""
    chromium.get("about:blank")
    chromium.get(address)
    yield chromium
    assert chromium.get_log("browser") == []


def _until(holds: Callable[[], object], seconds: float = 10) -> object:
    end = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < end:
        time.sleep(0.02)
    assert found
    return found


def _samples(page: Any) -> list[dict[str, Any]]:
    return list(page.execute_script("return JSON.parse(document.getElementById('told').textContent).samples"))


LOOK = """
    const seen = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility());
    return {
      ids: seen(".card").map((card) => card.querySelector("dd").textContent),
      all: document.querySelectorAll(".card").length,
      count: document.getElementById("count").textContent,
      groups: seen(".group h3 span").map((span) => parseInt(span.textContent)),
      nothing: document.getElementById("nothing").checkVisibility(),
    };
"""


def _visible(page: Any) -> list[str]:
    """Ids of the samples that are seen; what is told of their number must agree."""
    seen = page.execute_script(LOOK)
    ids = list(seen["ids"])
    assert seen["count"] == f"{len(ids)} of {seen['all']} samples"
    assert sum(seen["groups"]) == len(ids)
    assert seen["nothing"] is not bool(ids)
    return ids


def _set(page: Any, **fields: str) -> None:
    script = "const f = document.forms[0].elements[arguments[0]]; f.value = arguments[1]; f.dispatchEvent(new Event('input', {bubbles: true}))"
    for name, value in fields.items():
        page.execute_script(script, name, value)


def test_it_renders_all_that_there_is(page: Any, data_dir: Path) -> None:
    assert page.title == "EmoSet (speech): what is in this data folder"
    corpora = sorted(p.parent.name for p in data_dir.glob("*/manifest.json"))
    assert [e.text for e in page.find_elements("css selector", "#overview tbody a")] == corpora
    assert [e.text for e in page.find_elements("css selector", ".group h3")] == [
        f"{name} {sum(s['corpus'] == name for s in _samples(page))} samples" for name in corpora
    ]
    assert len(page.find_elements("css selector", "svg.chart")) == 5 * len(corpora)
    page.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    bad = page.execute_script(
        "return [...document.querySelectorAll('svg.chart, svg.bar, .card, table')].filter((e) => e.checkVisibility() && !(e.getBoundingClientRect().width > 20)).length"
    )
    assert bad == 0


def test_every_picture_and_every_recording_loads(page: Any) -> None:
    loaded = "return [...document.querySelectorAll('audio')].filter((a) => a.src).length"
    assert page.execute_script(loaded) < len(_samples(page))  # they come as they are needed
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    ready = "return [...document.querySelectorAll('audio')].every((a) => a.readyState > 0) && [...document.images].every((i) => i.complete)"
    _until(lambda: page.execute_script(ready))
    lengths = page.execute_script("return [...document.querySelectorAll('audio')].map((a) => a.duration)")
    assert lengths == pytest.approx([s["shown"] for s in _samples(page)], abs=0.01)
    widths = page.execute_script("return [...document.querySelectorAll('.picture img')].map((i) => i.naturalWidth)")
    assert widths == pytest.approx([100 * s["shown"] for s in _samples(page)], abs=2)


def test_a_player_plays_and_stops_the_others(page: Any) -> None:
    page.execute_script("document.querySelector('#groups').scrollIntoView()")
    _until(lambda: page.execute_script("return document.querySelectorAll('audio')[1].readyState > 0"))
    first, second = page.find_elements("css selector", "audio")[:2]
    page.execute_script(
        "arguments[0].muted = arguments[1].muted = arguments[0].loop = true; arguments[0].play()", first, second
    )
    _until(lambda: first.get_property("currentTime") > 0.15)
    assert "playing" in page.find_element("css selector", ".card").get_attribute("class")
    assert page.execute_script("return parseFloat(document.querySelector('.picture i').style.left)") > 0
    picture = page.find_elements("css selector", ".picture")[1]
    picture.click()  # in its middle
    _until(lambda: not second.get_property("paused"))
    assert second.get_property("currentTime") >= 0.45 * second.get_property("duration")
    _until(lambda: first.get_property("paused"))
    _set(page, find="no such id")
    _until(lambda: second.get_property("paused"))


def test_every_choice_of_every_filter_shows_what_it_promises(page: Any) -> None:
    samples = _samples(page)
    assert _visible(page) == [s["id"] for s in samples]
    for name in ("corpus", "class", "split"):
        choices = page.execute_script(
            "return [...document.forms[0].elements[arguments[0]].options].map((o) => [o.value, o.textContent])", name
        )
        assert len(choices) > 3
        for value, text in choices:
            column, wanted = value.split(":") if name == "class" and value else (name, value)
            _set(page, **{name: value})
            expected = [s["id"] for s in samples if not value or s.get(column) == wanted]
            assert expected
            assert _visible(page) == expected
            assert text.endswith(f" ({len(expected)})")
        _set(page, **{name: ""})


def test_filters_work_together_and_tell_what_is_left(page: Any) -> None:
    samples = _samples(page)
    _set(page, corpus="cremad", split="test", **{"class": "emotion:anger"})
    left = [s for s in samples if (s["corpus"], s["split"], s.get("emotion")) == ("cremad", "test", "anger")]
    assert _visible(page) == [s["id"] for s in left]
    texts = page.execute_script("return [...document.forms[0].elements.corpus.options].map((o) => o.textContent)")
    for name in ("emodb", "urdu"):
        count = sum((s["corpus"], s["split"], s.get("emotion")) == (name, "test", "anger") for s in samples)
        assert f"{name} ({count})" in texts
    dimmed = [e.text.split()[0] for e in page.find_elements("css selector", "#overview tr.dim")]
    assert dimmed == ["emodb", "iemocap", "iemocap-full", "urdu"]
    rows = page.execute_script(
        "return [...document.querySelectorAll('tr[data-corpus=cremad][data-label]:not(.dim)')].map((r) => r.dataset.label)"
    )
    assert rows == ["anger"]
    page.find_element("css selector", "button[type=reset]").click()
    _until(lambda: len(_visible(page)) == len(samples))
    assert page.find_elements("css selector", ".dim") == []


def test_search_by_keyboard_alone(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    samples = _samples(page)
    page.find_element("tag name", "body").send_keys(Keys.TAB)
    assert page.switch_to.active_element.text == "Skip to the samples"
    search = page.find_element("name", "find")
    page.execute_script("document.forms[0].elements.split.focus()")
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element == search
    search.send_keys("MODB/1")
    assert _visible(page) == [s["id"] for s in samples if s["id"].startswith("emodb/1")]
    search.send_keys("nothing like it")
    assert _visible(page) == []
    search.send_keys(Keys.ENTER)  # submits nothing
    assert page.current_url.startswith("file:")


def test_the_address_keeps_the_filters(page: Any, address: str) -> None:
    _set(page, corpus="urdu", find="sf")
    ids = _visible(page)
    assert page.current_url == f"{address}#corpus=urdu&find=sf"
    page.refresh()
    assert _visible(page) == ids
    page.get(f"{address}#corpus=cremad&class=label%3Aanger&split=nowhere&other=1")
    _until(lambda: page.execute_script("return document.forms[0].elements.corpus.value") == "cremad")
    assert _visible(page) == [s["id"] for s in _samples(page) if (s["corpus"], s["label"]) == ("cremad", "anger")]
    page.execute_script("document.querySelector('a[href=\"#corpus-urdu\"]').click()")
    assert page.execute_script("return document.getElementById('corpus-urdu').open")
    page.execute_script("document.querySelector('a[data-corpus=urdu]').click()")
    _until(lambda: page.current_url == f"{address}#corpus=urdu")
    assert _visible(page) == [s["id"] for s in _samples(page) if s["corpus"] == "urdu"]


def test_dark_and_light(page: Any) -> None:
    found = {}
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        script = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color].map((c) => c.match(/\\d+/g).reduce((a, b) => a + +b, 0))"
        found[scheme] = page.execute_script(script)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert found["light"][0] > 700 > 150 > found["light"][1]
    assert found["dark"][0] < 100 < 600 < found["dark"][1]


@pytest.mark.parametrize("width", [360, 720, 1000])
def test_nothing_sticks_out_of_a_narrow_window(page: Any, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.execute_script("return document.documentElement.scrollWidth") == width
    out = page.execute_script(
        "return [...document.querySelectorAll('main *')].filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))"
    )
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert out == []


def test_without_script_the_tables_are_there(chromium: Any, address: str) -> None:
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chromium.get("about:blank")
        chromium.get(address)
        assert "Samples and filters need JavaScript" in chromium.find_element("tag name", "noscript").text
        assert chromium.find_element("css selector", "#overview td").is_displayed()
        assert not chromium.find_element("id", "filters").is_displayed()
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_hostile_texts_do_nothing(chromium: Any, hostile_dir: Path, tmp_path: Path) -> None:
    chromium.get(report(hostile_dir, tmp_path / "report.html", progress=False).as_uri())
    assert len(_visible(chromium)) == len(_samples(chromium))
    chromium.execute_script("dispatchEvent(new Event('beforeprint'))")
    loaded = "return [...document.querySelectorAll('audio')].every((a) => a.readyState > 0 || a.error)"
    _until(lambda: chromium.execute_script(loaded))
    assert chromium.execute_script("return [...document.querySelectorAll('audio')].filter((a) => a.error).length") == 0
    assert chromium.find_element("css selector", ".said").text.endswith("\u0627\u0631\u062f\u0648")
    _set(chromium, **{"class": "label:<script>alert(1)</script>"})
    assert _visible(chromium) == [s["id"] for s in _samples(chromium) if s["label"].startswith("<")]
    assert chromium.find_element("css selector", ".card h4").text.startswith("<script>alert(1)</script>")
    assert (
        chromium.execute_script(
            "return document.querySelectorAll('script:not([type]), img[src=x], i:not(.picture i)').length"
        )
        == 1
    )
    assert chromium.get_log("browser") == []  # and no alert stands in the way


def test_nothing_is_asked_of_a_network_and_nothing_could_be(page: Any) -> None:
    entries = page.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert [name for name in entries if not name.startswith("data:")] == []
    refused = page.execute_async_script("""
        const done = arguments[0], found = [];
        addEventListener("securitypolicyviolation", (e) => { found.push(e.effectiveDirective); });
        new Image().src = "http://127.0.0.1:9/x.png";
        document.body.append(Object.assign(document.createElement("script"), {textContent: "document.title = 'bad'"}));
        fetch("http://127.0.0.1:9/").catch(() => setTimeout(() => done([found.sort(), document.title]), 50));
    """)
    assert refused == [["connect-src", "img-src", "script-src-elem"], "EmoSet (speech): what is in this data folder"]
    page.get_log("browser")  # which tells of the refusals
