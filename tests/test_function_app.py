"""The app as the Functions host sees it: what it indexes, and what importing it does not do."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest

from shared.settings import load_settings
from tests.environments import in_azure, on_a_laptop

ROOT = Path(__file__).resolve().parents[1]

INDEX = """
import asyncio, json, sys
from pathlib import Path
from emulators.functions_host.worker import Worker

names = ["EVENTS_QUEUE", "REPLICATION_QUEUE", "CLEANUP_QUEUE", "NIGHTLY_SCHEDULE", "RECONCILE_SCHEDULE"]
app = asyncio.run(Worker().load(Path(sys.argv[1]), {name: f"%{name}%" for name in names}))
print(json.dumps({
    each.name: {
        **{key: getattr(value, "name", value) for key, value in each.trigger.properties.items()},
        "retry": each.retry is not None,
    }
    for each in app
}))
"""

IMPORT = """
import json, os, sys

class Environment(dict):
    asked = set()
    def __getitem__(self, name):
        self.asked.add(name)
        return super().__getitem__(name)
    def get(self, name, default=None):
        self.asked.add(name)
        return super().get(name, default)
    def __contains__(self, name):
        self.asked.add(name)
        return super().__contains__(name)

events = []
os.environ = Environment(os.environ)
sys.addaudithook(lambda event, arguments: events.append((event, str(arguments[0] if arguments else ""))))
sys.path.insert(0, sys.argv[1])
import function_app
seen = list(events)
print(json.dumps({
    "asked": sorted(Environment.asked),
    "modules": sorted(sys.modules),
    "opened": sorted({name for event, name in seen if event == "open"}),
    "other": sorted({event for event, _ in seen if event.partition(".")[0] in {"socket", "subprocess"}}),
}))
"""


def in_python(program: str) -> Any:
    """Run a program in a Python of its own, and return the JSON that it prints last."""
    command = [sys.executable, "-B", "-c", program, str(ROOT)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout.splitlines()[-1])


@cache
def indexed() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = in_python(INDEX)
    return found


def of_type(trigger: str) -> dict[str, dict[str, Any]]:
    return {name: binding for name, binding in indexed().items() if binding["type"] == trigger}


def test_every_queue_and_its_poison_queue_has_one_function_on_the_app_s_own_storage() -> None:
    queues = of_type("queueTrigger")
    assert {name: binding["queueName"] for name, binding in queues.items()} == {
        "on_queued_registry_event": "%EVENTS_QUEUE%",
        "replicate_tag": "%REPLICATION_QUEUE%",
        "clean_repository": "%CLEANUP_QUEUE%",
        "poisoned_registry_event": "%EVENTS_QUEUE%-poison",
        "poisoned_replication": "%REPLICATION_QUEUE%-poison",
        "poisoned_cleanup": "%CLEANUP_QUEUE%-poison",
    }
    assert {binding["connection"] for binding in queues.values()} == {"StewardStorage"}


def test_timers_take_their_schedules_from_settings_and_do_not_fire_at_every_start() -> None:
    timers = of_type("timerTrigger")
    assert {name: binding["schedule"] for name, binding in timers.items()} == {
        "start_nightly_run": "%NIGHTLY_SCHEDULE%",
        "start_reconciliation": "%RECONCILE_SCHEDULE%",
    }
    assert not any(binding.get("runOnStartup") for binding in timers.values())


def test_event_grid_has_one_door() -> None:
    assert list(of_type("eventGridTrigger")) == ["on_registry_event"]


def test_every_http_function_but_the_health_probe_asks_for_a_key() -> None:
    levels = {name: binding["authLevel"] for name, binding in of_type("httpTrigger").items()}
    assert {name for name, level in levels.items() if level == "ANONYMOUS"} == {"health"}
    assert {level for name, level in levels.items() if name != "health"} == {"FUNCTION"}


def test_no_two_http_functions_share_a_route_and_a_method() -> None:
    places = [
        (method, binding["route"])
        for binding in of_type("httpTrigger").values()
        for method in binding["methods"]
    ]
    assert len(places) == len(set(places))
    assert {method for method, _ in places} <= {"GET", "POST"}


def test_no_function_is_of_another_kind_or_retried_by_the_host() -> None:
    kinds = {binding["type"] for binding in indexed().values()}
    assert kinds == {"httpTrigger", "queueTrigger", "timerTrigger", "eventGridTrigger"}
    assert not any(binding["retry"] for binding in indexed().values()), "the queue delivers again"


def test_every_file_of_doors_is_registered() -> None:
    defined = {
        line.split('"')[1]
        for file in (ROOT / "functions").glob("*.py")
        for line in file.read_text().splitlines()
        if line.startswith("@blueprint.function_name(")
    }
    assert defined == set(indexed())


@cache
def imported() -> dict[str, list[str]]:
    found: dict[str, list[str]] = in_python(IMPORT)
    return found


def test_importing_the_app_reads_none_of_its_settings() -> None:
    class Asked(dict[str, str]):
        names: ClassVar[set[str]] = set()

        def get(self, name: str, default: Any = None) -> Any:
            self.names.add(name)
            return super().get(name, default)

        def __getitem__(self, name: str) -> str:
            self.names.add(name)
            return super().__getitem__(name)

    for environment in (in_azure(), on_a_laptop()):
        load_settings(Asked(environment))
    assert "ACR_LOGIN_SERVERS" in Asked.names, "this is how settings are read"
    assert not Asked.names & set(imported()["asked"])


def test_importing_the_app_opens_nothing_but_modules() -> None:
    endings = (".py", ".pyc", ".so", ".pth", ".zip", "pyvenv.cfg")
    opened = imported()["opened"]
    assert any("function_app" in name for name in opened)
    assert [name for name in opened if not name.endswith(endings)] == []
    assert imported()["other"] == []


@pytest.mark.parametrize(
    "package", ["azure.storage", "azure.identity", "pydantic", "yaml", "requests", "re2"]
)
def test_importing_the_app_does_not_load(package: str) -> None:
    loaded = imported()["modules"]
    assert "azure.functions" in loaded
    assert package not in loaded
