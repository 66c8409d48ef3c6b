"""Pages show what runs did; whatever is in the data, they are text and nothing else."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from emulators.registry.images import build_image
from shared.jobs.cleaning import clean
from shared.jobs.nightly import start_night
from shared.pages.charts import columns, segments
from shared.pages.page import moment, short, size, span
from tests.jobs.world import World, body
from tests.web.doors import Doors
from tests.web.fortnight import fortnight
from tests.web.hostile import ATTACKS, attack, pages

OLD = "name: old-pull-requests, tags: ['pr-*'], older_than: 14d"
ELEMENTS = (
    "a body code dd details div dl dt figure footer h1 h2 head header html li link main meta nav p rect "
    "section small span strong style summary svg table tbody td th thead time title tr ul"
)


class Reader(HTMLParser):
    """Collects elements, attributes, addresses and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.style = ""
        self.ids: list[str] = []
        self._in_style = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action"}]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        del tag
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.style += data
        else:
            self.text += data


def read(api: Doors, path: str, status: int = 200) -> Reader:
    answer = api.get(path)
    assert answer.status_code == status
    assert answer.mimetype == "text/html"
    return Reader(answer.get_body().decode())


def night(world: World) -> str:
    """Carry out a night that removes one tag and one manifest, and keeps one of each."""
    world.push(build_image(), tag="pr-1")
    for tag in ("v1", "v2", "v3"):
        world.push(build_image(), tag=tag)
    world.write_policy(OLD)
    run = start_night(world.services, now=world.clock())
    for _ in range(2):
        for message in world.take_cleanups():
            clean(world.services, body(message), clock=world.clock)
    return run.name


def test_a_night_is_told_from_the_overview_down_to_each_reason(api: Doors, world: World) -> None:
    run = night(world)

    overview = read(api, "")
    assert f"/api/reports/{run}" in overview.links
    assert "Storage freed, by night" in overview.text

    report = read(api, f"reports/{run}")
    place = f"/api/reports/{run}/{world.registry.replace(':', '%3A')}/{world.repository}"
    assert place in report.links
    assert "old-pull-requests" in report.text

    repository = read(api, place.removeprefix("/api/"))
    assert "pr-1" in repository.text
    assert "older than 14d" in repository.text
    assert "done" in repository.text
    assert f"/api/runs/{run}/repositories/{world.registry.replace(':', '%3A')}/{world.repository}" in (
        repository.links
    )


def test_the_overview_of_an_app_that_never_ran_says_so(api: Doors, world: World) -> None:
    world.write_policy(OLD)
    overview = read(api, "")
    assert "No night yet" in overview.text
    assert "Needs a hand" not in overview.text


def test_what_is_wrong_stands_on_the_overview_with_what_to_do(api: Doors, world: World) -> None:
    (world.folder / "policy.yaml").write_text("version: 2")
    world.services.poison.save("clean-repository", "id", {}, now=world.clock())
    text = read(api, "").text
    assert "policy.yaml" in text
    assert "1 message failed too often" in text
    assert "/api/poison/replay" in text


def test_two_weeks_are_told_lag_drift_requests_and_throttling(api: Doors, world: World) -> None:
    world.write_policy(OLD)
    run = fortnight(world)

    overview = " ".join(read(api, "").text.split())
    for part in (
        "Push to copy36 shalf of the tags; the last after 49 s",
        "From push to copy, by day",
        "Requests and throttling, by night",
        "114 answers in these nights asked to come back later.",
        "108 in step",
        "The latest comparisons",
        "1 message failed too often and waits for you.",
        "The last night: 1 removal failed.",
    ):
        assert part in overview, part

    night = " ".join(read(api, f"reports/{run}").text.split())
    for part in (
        "Took11 min",
        "Requests36,2766 throttled, 2 min waited",
        "Left for later160by the cap of the policy, at_most",
        "Worth knowing rule nightlies matched nothing in any repository",
        "give the app's identity AcrDelete there.",
    ):
        assert part in night, part


def test_what_does_not_exist_is_a_page_too(api: Doors, world: World) -> None:
    world.write_policy(OLD)
    for path, status in (("reports/night-1", 404), ("reports/NIGHT", 400), ("nothing", 404)):
        assert "/api/" in read(api, path, status).links


def test_hostile_texts_are_texts(api: Doors, world: World) -> None:
    world.write_policy(OLD)
    run = attack(world)
    for path in pages(world, run):
        page = read(api, path)
        assert page.elements <= set(ELEMENTS.split()), path
        assert not [name for name in page.attributes if name.startswith("on") or name == "style"]
        assert all(link.startswith(("/api/", "#", "data:,")) for link in page.links), page.links
        assert "49" not in page.text.partition("{{")[2][:12]
        assert "\u202e" not in page.text
    shown = read(api, pages(world, run)[-1]).text
    for text in ATTACKS[:-1]:
        assert text in shown


def test_the_policy_of_a_page_allows_its_style_and_nothing_else(api: Doors, world: World) -> None:
    world.write_policy(OLD)
    answer = api.get("")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    style = Reader(answer.get_body().decode()).style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.pop("style-src") == f"'sha256-{digest}'"
    assert policy.pop("img-src") == "data:"
    assert set(policy.values()) == {"'none'"}
    assert policy["default-src"] == "'none'"
    assert not re.search(r"url\(|@import", style)


def test_links_carry_the_key_only_when_it_came_in_the_address(api: Doors, world: World) -> None:
    run = night(world)
    for path in ("", f"reports/{run}"):
        local = [link for link in read(api, path).links if link.startswith("/api/")]
        assert local
        assert not [link for link in local if "code" in link]
        keyed = [link for link in read(api, f"{path}?code=a%26b%22%3E").links if link.startswith("/api/")]
        assert all(link.endswith("?code=a%26b%22%3E") for link in keyed)


def test_pages_have_one_heading_a_language_and_unique_ids(api: Doors, world: World) -> None:
    run = attack(world)
    world.write_policy(OLD)
    for path in pages(world, run):
        html = api.get(path).get_body().decode()
        assert html.count("<h1>") == 1
        assert '<html lang="en">' in html
        ids = Reader(html).ids
        assert len(ids) == len(set(ids)), path
        for table in html.split("<table ")[1:]:
            assert '<th scope="col" role="columnheader"' in table
            assert '<th scope="row" role="rowheader"' in table


@pytest.mark.parametrize(
    ("values", "heights"), [([], []), ([0, 0], [0, 0]), ([1, 4], [25, 100]), ([1, 10**12], [0.8, 100])]
)
def test_columns_are_as_high_as_their_share_and_what_is_not_nothing_is_seen(
    values: list[float], heights: list[float]
) -> None:
    drawn = columns([(str(value), value) for value in values])
    assert [column.height for column in drawn] == heights
    assert all(column.x + column.width <= 100 for column in drawn)


def test_the_parts_of_a_bar_lie_side_by_side() -> None:
    parts = segments({"a": 1, "b": 0, "c": 3}, ["a", "b", "c"])
    assert [(part.name, part.x, part.width) for part in parts] == [("a", 0, 25), ("c", 25, 75)]
    assert segments({"a": 1}, ["a"], 4)[0].width == 25
    assert segments({}, ["a"]) == []


def test_numbers_and_times_read_as_people_write_them() -> None:
    assert [size(count) for count in (0, 999, 1000, 12_100_000, 10**15)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "12.1 MB",
        "1,000.0 TB",
    ]
    assert moment("2026-11-03T02:00:00+02:00") == "3 Nov 2026, 00:00 UTC"
    assert moment("soon") == "soon"
    lengths = (0, 3.2, 36, 241.5, 3600, 9000, 259_200)
    assert [span(length) for length in lengths] == ["0 s", "3.2 s", "36 s", "4 min", "1 h", "2.5 h", "3 d"]
    assert short(f"at sha256:{'a' * 64}") == "at sha256:aaaaaaaaaaaa…"
