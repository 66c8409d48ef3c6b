"""Report pages in a real browser: quiet, usable by keyboard, readable on a phone, deaf to attacks."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import pytest

from emulators.registry.images import build_image
from functions.application import services
from shared.jobs.cleaning import clean
from shared.jobs.nightly import start_night
from tests.jobs.servers import servers, world
from tests.jobs.world import World, body
from tests.web.browser import Browser, browser, require_browser
from tests.web.doors import Doors
from tests.web.fortnight import REPOSITORIES, fortnight
from tests.web.hostile import attack, pages

__all__ = ["servers", "world"]

TAB = "\ue004"
TABLE_ROLES = {"table", "row", "columnheader", "rowheader", "cell"}
CONTRAST = """
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => color.slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const color = rgb(getComputedStyle(element).backgroundColor);
      if (color[3] > 0) return color;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const seen = element.getClientRects().length && !element.closest('svg');
    if (!seen || !texts.currentNode.data.trim()) continue;
    const [one, other] = [rgb(getComputedStyle(element).color), ground(element)].map(light).sort();
    if ((other + 0.05) / (one + 0.05) < 4.5) poor.push(texts.currentNode.data.trim().slice(0, 40));
  }
  for (const element of document.querySelectorAll('*')) {
    const before = getComputedStyle(element, '::before');
    if (!element.getClientRects().length || ['none', 'normal'].includes(before.content)) continue;
    const [one, other] = [rgb(before.color), ground(element)].map(light).sort();
    if ((other + 0.05) / (one + 0.05) < 4.5) poor.push(before.content.slice(0, 40));
  }
  return poor;
"""
SIDEWAYS = """
  return [...document.querySelectorAll('*')]
    .filter((each) => getComputedStyle(each).overflowX === 'auto' && each.scrollWidth > each.clientWidth)
    .map((each) => each.getAttribute('aria-label'));
"""
CUT = """
  const right = document.documentElement.clientWidth;
  return [...document.querySelectorAll('main *')]
    .filter((each) => !each.closest('thead') && each.getBoundingClientRect().right > right + 0.5)
    .map((each) => each.outerHTML.slice(0, 80));
"""
UNDRAWN = """
  return [...document.querySelectorAll('rect')]
    .filter((each) => getComputedStyle(each).fill === 'rgb(0, 0, 0)').map((each) => each.outerHTML);
"""
UNTITLED = """
  const text = (each) => each.textContent.trim();
  return [...document.querySelectorAll('tbody tr')].flatMap((row) => {
    const titles = [...row.closest('table').querySelectorAll('thead th')].map(text).slice(1);
    const cells = [...row.querySelectorAll('td')].map((each) => each.dataset.title);
    return JSON.stringify(titles) === JSON.stringify(cells) ? [] : [cells];
  });
"""


class Server:
    """The app's pages on loopback, for a browser to open."""

    def __init__(self) -> None:
        doors = Doors()
        self.requests: list[str] = []
        requests = self.requests

        class Pages(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                answer = doors.get(self.path.removeprefix("/api").lstrip("/"))
                content = answer.get_body()
                self.send_response(answer.status_code)
                self.send_header("Content-Type", f"{answer.mimetype}; charset=utf-8")
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/api/{path}"


@pytest.fixture
def pages_on_loopback(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    require_browser()
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    services.cache_clear()
    with Server() as server:
        yield server
    services.cache_clear()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


def night(world: World) -> str:
    world.push(build_image(), tag="pr-1")
    for number in range(3):
        world.push(build_image(), tag=f"v{number}")
    world.write_policy("name: old-pull-requests, tags: ['pr-*'], older_than: 14d")
    run = start_night(world.services, now=world.clock())
    for _ in range(2):
        for message in world.take_cleanups():
            clean(world.services, body(message), clock=world.clock)
    return run.name


def test_no_attack_through_stored_names_does_anything(
    chromium: Browser, pages_on_loopback: Server, world: World
) -> None:
    night(world)
    for path in pages(world, attack(world)):
        chromium.open(pages_on_loopback.address(path))
        assert not chromium.has_dialog()
        assert chromium.complaints() == []
        assert chromium.run("return document.title").endswith("Registry Steward")
        assert chromium.run("return document.title") != "owned"
        assert chromium.run("return document.scripts.length + document.images.length") == 0
    assert {path.split("?")[0].split("/")[1] for path in pages_on_loopback.requests} == {"api"}


def test_what_an_attack_would_have_inserted_is_stopped_by_the_policy(
    chromium: Browser, pages_on_loopback: Server, world: World
) -> None:
    """The second wall stands by itself: this markup was not escaped by anybody."""
    night(world)
    chromium.open(pages_on_loopback.address(""))
    chromium.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.owned=1\">')")
    assert chromium.run(
        "return new Promise(done => setTimeout(() => done(window.owned ?? 'safe'), 200))"
    ) == ("safe")
    assert any("Content Security Policy" in complaint for complaint in chromium.complaints())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_and_can_be_read_in_both_schemes(
    chromium: Browser, pages_on_loopback: Server, world: World, scheme: str
) -> None:
    run = night(world)
    chromium.prefer(scheme)
    chromium.resize(360, 740)
    grounds = set()
    for path in ("", f"reports/{run}", f"reports/{run}/{world.registry}/{world.repository}"):
        chromium.open(pages_on_loopback.address(path))
        width = "return document.documentElement.scrollWidth"
        assert chromium.run(width) <= 360, path
        assert chromium.run(CONTRAST) == [], path
        grounds.add(chromium.run("return getComputedStyle(document.body).backgroundColor"))
    assert grounds == {"rgb(244, 246, 248)" if scheme == "light" else "rgb(16, 22, 29)"}
    assert chromium.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_two_weeks_can_be_read_on_a_phone_and_on_a_desk_without_scrolling_sideways(
    chromium: Browser, pages_on_loopback: Server, world: World, scheme: str, width: int
) -> None:
    world.write_policy("name: old-pull-requests, tags: ['pr-*'], older_than: 14d")
    run = fortnight(world)
    chromium.prefer(scheme)
    chromium.resize(width, 900)
    for path in ("", f"reports/{run}", f"reports/{run}/{world.registry}/{REPOSITORIES[1]}"):
        chromium.open(pages_on_loopback.address(path))
        chromium.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert chromium.run("return document.documentElement.scrollWidth") <= width, path
        assert chromium.run(SIDEWAYS) == [], path
        assert chromium.run(CUT) == [], path
        assert chromium.run(CONTRAST) == [], path
        assert chromium.run(UNTITLED) == [], path
        assert chromium.run(UNDRAWN) == [], path
    assert chromium.complaints() == []


def test_cards_on_a_phone_are_still_tables_to_a_screen_reader(
    chromium: Browser, pages_on_loopback: Server, world: World
) -> None:
    run = night(world)
    found = {}
    for width in (390, 1280):
        chromium.resize(width, 900)
        chromium.open(pages_on_loopback.address(f"reports/{run}"))
        tree = chromium.accessibility()
        found[width] = [(role, name) for role, name in tree if role in TABLE_ROLES]
    assert ("columnheader", "Repository") in found[390]
    assert ("cell", "finished") in found[390], "the title before a cell is not read with it"
    assert {role for role, _ in found[390]} == TABLE_ROLES
    assert found[390] == found[1280]


def test_the_keyboard_reaches_the_report_from_the_overview(
    chromium: Browser, pages_on_loopback: Server, world: World
) -> None:
    run = night(world)
    chromium.open(pages_on_loopback.address("?code=secret"))
    chromium.press(TAB)
    assert chromium.run("return document.activeElement.className") == "skip"
    for _ in range(20):
        chromium.press(TAB)
        assert chromium.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
        if f"/api/reports/{run}" in (chromium.run("return document.activeElement.href") or ""):
            break
    else:
        pytest.fail("no link to the run was reached")
    chromium.press("\ue007")
    assert chromium.run("return location.pathname + location.search") == f"/api/reports/{run}?code=secret"
    assert chromium.run("return document.querySelector('h1').textContent").startswith("Night, ")
    assert chromium.run("return document.referrer") == ""
