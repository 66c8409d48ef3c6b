"""``docs/settings.md`` says what the code reads: no setting more, none less, and its examples load."""

import json
import re
from pathlib import Path

import pytest

from scripts.settings_manual import manual
from shared.errors import InvalidSettings
from shared.settings import UNRESOLVED_REFERENCE, load_settings

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    return str(found)


def table(title: str) -> dict[str, list[str]]:
    """Return the other columns of the section's table by the name in the first."""
    rows = re.findall(r"^\| `(\S+)` \| (.*) \|$", section(title), re.MULTILINE)
    return {name: [cell.strip().strip("`") for cell in rest.split(" | ")] for name, rest in rows}


def sample(title: str) -> dict[str, str]:
    """Return the section's settings as App Service would pass them on: with secrets in place."""
    (block,) = re.findall(r"```json\n(.*?)```", section(title), re.DOTALL)
    values: dict[str, str] = json.loads(block)
    return {
        name: "a secret" if value.startswith(UNRESOLVED_REFERENCE) else value
        for name, value in values.items()
    }


APP = table("What the app reads")
HOST = table("What the Functions host reads")
IN_AZURE = sample("In Azure")
ON_A_LAPTOP = sample("On a laptop")


class RecordingEnvironment(dict[str, str]):
    """Remembers which names were asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> str:
        self.asked.add(key)
        return super().__getitem__(key)


def test_the_tables_are_what_the_code_says() -> None:
    assert manual(DOCUMENT) == DOCUMENT, "run: python scripts/settings_manual.py"


def names_in_triggers() -> set[str]:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "functions").glob("*.py")]
    return {name for source in sources for name in re.findall(r"%(\w+)%", source)}


@pytest.mark.parametrize("values", [{}, IN_AZURE, ON_A_LAPTOP])
def test_the_documented_settings_are_those_the_app_reads(values: dict[str, str]) -> None:
    environment = RecordingEnvironment(values)
    try:
        load_settings(environment)
    except InvalidSettings:
        assert not values
    assert set(APP) == environment.asked


def test_every_name_in_a_trigger_is_documented() -> None:
    schedules = {name for name in HOST if not name.startswith("StewardStorage__")}
    assert names_in_triggers() - set(APP) == schedules
    assert names_in_triggers() & set(APP) == {"EVENTS_QUEUE", "REPLICATION_QUEUE", "CLEANUP_QUEUE"}


@pytest.mark.parametrize("values", [IN_AZURE, ON_A_LAPTOP], ids=["azure", "laptop"])
def test_the_sample_settings_load_and_name_only_what_is_documented(values: dict[str, str]) -> None:
    load_settings(values)
    assert set(values) <= set(APP) | set(HOST)


@pytest.mark.parametrize("name", APP)
def test_an_example_of_a_setting_can_be_used(name: str) -> None:
    example = APP[name][-1]
    base = ON_A_LAPTOP if name in ON_A_LAPTOP and name not in IN_AZURE else IN_AZURE
    load_settings(base | {name: example})


@pytest.mark.parametrize("name", [name for name, cells in APP.items() if cells[0] not in {"—", "required"}])
def test_a_documented_default_is_what_is_used_without_the_setting(name: str) -> None:
    base = {other: value for other, value in IN_AZURE.items() if other != name}
    default = load_settings(base)
    assert load_settings(base | {name: APP[name][0]}) == default


def test_what_is_documented_as_required_is_required() -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings({})
    missing = {problem.path for problem in caught.value.problems if problem.message == "missing"}
    assert missing == {name for name, cells in APP.items() if cells[0] == "required"}


def test_an_invocation_stops_itself_before_the_host_does() -> None:
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))
    budget = load_settings(IN_AZURE).invocation_seconds
    assert budget + 300 <= hours * 3600 + minutes * 60 + seconds
