#!/usr/bin/env python3
"""Write the tables of ``docs/settings.md``.

Usage: ``python scripts/settings_manual.py``. The words are here. Names, what is required, defaults and the
numbers that are allowed are asked from ``shared/settings.py``, values of the host from ``host.json``: what
the code does not read, or reads without a word here, is an error.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from shared.errors import InvalidSettings  # noqa: E402 (the project's root has to be on the path)
from shared.settings import load_settings  # noqa: E402

DOCUMENT: Final = ROOT / "docs" / "settings.md"
_NOTHING: Final = "—"
_TABLE: Final = re.compile(r"^\|.*?(?=\n\n|\n?\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting in words; ``{range}`` in its meaning is what numbers it may hold."""

    name: str
    meaning: str
    example: str


SETTINGS: Final = (
    Setting(
        "ACR_LOGIN_SERVERS",
        "The Azure Container Registries to serve: login servers, separated by commas. Events of other "
        "registries are refused",
        "myreg.azurecr.io, other.azurecr.io",
    ),
    Setting(
        "AZURE_CLIENT_ID",
        "Client id of the user-assigned identity that registries and storage are called under. "
        "Without one, whoever is signed in on a laptop (`DefaultAzureCredential`)",
        "11111111-2222-3333-4444-555555555555",
    ),
    Setting(
        "ACR_RESOURCE_IDS",
        "Which Azure resource each registry is: JSON of login servers, each with a resource id. A "
        "night then says where a registry deletes by a retention policy of its own, or keeps what was "
        "deleted (soft delete). The identity needs *Reader* there",
        '{"myreg.azurecr.io": '
        '"/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/images/providers/'
        'Microsoft.ContainerRegistry/registries/myreg"}',
    ),
    Setting(
        "AZURE_RESOURCE_MANAGER_ENDPOINT",
        "Azure Resource Manager, where those resources are asked for: Azure's, Azure Government's, "
        "Azure China's, or an emulator on loopback",
        "https://management.usgovcloudapi.net",
    ),
    Setting(
        "REGISTRY_CREDENTIALS",
        "For registries that are not reached by the identity: JSON of login servers, each with "
        '`username` and `password` (admin user or repository-scoped token) or with `"anonymous": '
        "true`. Secret: keep it in Key Vault",
        '{"other.azurecr.io": {"username": "puller", "password": "..."}, "public.azurecr.io": '
        '{"anonymous": true}}',
    ),
    Setting(
        "DOCKERHUB_USERNAME",
        "Account that replicated tags are pushed under; set together with the token",
        "acme-bot",
    ),
    Setting(
        "DOCKERHUB_TOKEN",
        "Access token of that account. Secret: keep it in Key Vault",
        "dckr_pat_...",
    ),
    Setting(
        "DOCKERHUB_REGISTRY_ENDPOINT",
        "Docker Hub's registry; anything else must be an emulator on loopback",
        "https://localhost:5443",
    ),
    Setting(
        "DOCKERHUB_API_ENDPOINT",
        "Docker Hub's own API; anything else must be an emulator on loopback",
        "https://localhost:5444",
    ),
    Setting(
        "StewardStorage",
        "Connection string of the storage account, for an emulator; not together with the URIs below",
        "UseDevelopmentStorage=true",
    ),
    Setting(
        "StewardStorage__blobServiceUri",
        "The storage account's blobs, reached under the identity",
        "https://account.blob.core.windows.net",
    ),
    Setting(
        "StewardStorage__queueServiceUri",
        "The storage account's queues, reached under the identity; the triggers read it too",
        "https://account.queue.core.windows.net",
    ),
    Setting(
        "StewardStorage__clientId",
        "Identity for storage: `AZURE_CLIENT_ID` when not set. The triggers read it too, and have no "
        "such default: in Azure, set it",
        "11111111-2222-3333-4444-555555555555",
    ),
    Setting(
        "EVENTS_QUEUE",
        "Queue that Event Grid delivers registry events to",
        "registry-events",
    ),
    Setting(
        "REPLICATION_QUEUE",
        "Queue of tags to replicate",
        "replications",
    ),
    Setting(
        "CLEANUP_QUEUE",
        "Queue of repositories to plan and to clean",
        "cleanups",
    ),
    Setting(
        "CLEANUP_MODE",
        "`plan` saves what would be removed and removes nothing; `apply` removes it. Deletion is "
        "switched on here and nowhere else",
        "apply",
    ),
    Setting(
        "POLICY_FILE",
        "The policy document, a path from the app's root; read again when it changes. This or `POLICY_BLOB`",
        "policy.yaml",
    ),
    Setting(
        "POLICY_BLOB",
        "The policy document as a blob of the storage account, `container/name`; read again when it changes",
        "config/policy.yaml",
    ),
    Setting(
        "NOTICES_TOPIC_ENDPOINT",
        "Event Grid topic that is told, as CloudEvents under the identity, when a run's plans are "
        "ready, when it is refused and when it is finished; the identity needs *EventGrid Data "
        "Sender* there",
        "https://topic.westeurope-1.eventgrid.azure.net/api/events",
    ),
    Setting(
        "RUNS_CONTAINER",
        "Blob container of runs, plans, outcomes, reports and poisoned messages; made when it is "
        "first needed",
        "registry-runs",
    ),
    Setting(
        "PUSH_CLEANUP_SECONDS",
        "Pushes to one repository within so many seconds lead to one cleanup by the rules marked "
        "`on_push`, at the end of that time: {range}",
        "900",
    ),
    Setting(
        "INVOCATION_SECONDS",
        "How long one invocation works on a repository before it leaves the rest to the next: "
        "{range}, and well below `functionTimeout` in `host.json`",
        "600",
    ),
    Setting(
        "REGISTRY_THREADS",
        "Requests that one instance has open to one registry at a time: {range}",
        "8",
    ),
    Setting(
        "DOCKERHUB_PULL_RESERVE",
        "Pulls of Docker Hub's six-hour limit that cleaning replicas leaves to others; as long as no more "
        "are left, it waits: {range}",
        "100",
    ),
    Setting(
        "EMULATOR_CA_FILE",
        "Authority that signed the emulators' certificates. Refused unless every registry above is on "
        "loopback",
        "/home/me/emulators/ca.crt",
    ),
)

HOST_SETTINGS: Final = (
    Setting("NIGHTLY_SCHEDULE", "When the policy is applied to every repository it names", "0 0 2 * * *"),
    Setting(
        "RECONCILE_SCHEDULE",
        "When source and target tags are compared, for pushes whose event was lost",
        "0 30 * * * *",
    ),
    Setting(
        "StewardStorage__credential",
        "How the triggers sign in to storage; needed with a user-assigned identity",
        "managedidentity",
    ),
)

HOST_JSON: Final = (
    ("functionTimeout", "stated, so that nobody has to look it up: well above `INVOCATION_SECONDS`"),
    (
        "extensions.queues.batchSize",
        "eight messages at once are enough to fill one registry's threads; more would only wait",
    ),
    ("extensions.queues.newBatchThreshold", "half of it, the default, written down"),
    (
        "extensions.queues.maxDequeueCount",
        "the default: after five failures a message becomes a poison record",
    ),
    (
        "extensions.queues.visibilityTimeout",
        "a failed message waits; at once, as is the default, five tries are over within a second",
    ),
    (
        "extensions.queues.maxPollingInterval",
        "an idle queue is looked at every ten seconds, not every minute: a push should not wait",
    ),
    (
        "extensions.queues.messageEncoding",
        "as Event Grid and this app write messages; undecodable ones go to poison unseen",
    ),
    (
        "logging.applicationInsights.samplingSettings.excludedTypes",
        "the alerts count requests, exceptions and log lines; thinned out, they would count wrong",
    ),
    ("logging.logLevel.Azure.Core", "the SDKs log every request otherwise"),
)

_LEAST: Final = {
    "ACR_LOGIN_SERVERS": "myreg.azurecr.io",
    "StewardStorage__blobServiceUri": "https://account.blob.core.windows.net",
    "StewardStorage__queueServiceUri": "https://account.queue.core.windows.net",
    "EVENTS_QUEUE": "registry-events",
    "REPLICATION_QUEUE": "replications",
    "CLEANUP_QUEUE": "cleanups",
    "POLICY_BLOB": "config/policy.yaml",
}


class _Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.names.add(key)
        return super().get(key, default)


def manual(page: str) -> str:
    """Return the page with its tables written anew.

    :raises SystemExit: when a setting has no words, or words have no setting.
    """
    asked, required = _asked()
    named = {setting.name for setting in SETTINGS}
    if asked != named:
        sys.exit(f"not described: {sorted(asked - named)}; not read: {sorted(named - asked)}")
    page = _with_table(
        page,
        "What the app reads",
        ("Setting", "Default", "Meaning", "Example"),
        (
            (
                f"`{each.name}`",
                "required" if each.name in required else _default(each),
                _meaning(each),
                f"`{each.example}`",
            )
            for each in SETTINGS
        ),
    )
    page = _with_table(
        page,
        "What the Functions host reads",
        ("Setting", "Meaning", "Example"),
        ((f"`{each.name}`", each.meaning, f"`{each.example}`") for each in HOST_SETTINGS),
    )
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    return _with_table(
        page,
        "host.json",
        ("key", "value", "why"),
        ((f"`{key}`", _value(host, key), why) for key, why in HOST_JSON),
    )


def _asked() -> tuple[set[str], set[str]]:
    """Return the names that the code reads, and those that it cannot do without."""
    environment = _Asked()
    try:
        load_settings(environment)
    except InvalidSettings as error:
        return environment.names, {each.path for each in error.problems if each.message == "missing"}
    sys.exit("the code needs no setting at all")


def _default(setting: Setting) -> str:
    """Return what the code takes where the setting is not set: what the setting's example changes."""
    try:
        without = load_settings({name: text for name, text in _LEAST.items() if name != setting.name})
        changed = load_settings(_LEAST | {setting.name: setting.example})
    except InvalidSettings:  # it does not come alone, and then it has no default
        return _NOTHING
    values = [getattr(without, each.name) for each in fields(without)]
    others = [getattr(changed, each.name) for each in fields(changed)]
    defaults = [value for value, other in zip(values, others, strict=True) if value != other and value]
    if len(defaults) > 1:
        sys.exit(f"{setting.name} changes more than one value")
    if not defaults:
        return _NOTHING
    (value,) = defaults
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _meaning(setting: Setting) -> str:
    if "{range}" not in setting.meaning:
        return setting.meaning
    try:
        load_settings(_LEAST | {setting.name: "-1"})
    except InvalidSettings as error:
        return setting.meaning.replace("{range}", error.problems[0].message.partition("expected ")[2])
    sys.exit(f"{setting.name} takes any number")


def _value(document: Mapping[str, Any], key: str) -> str:
    """Return what ``host.json`` has under a dotted key; its own keys may hold dots."""
    for name, inner in document.items():
        if key == name:
            return str(inner) if isinstance(inner, int) else f"`{inner}`"
        if key.startswith(f"{name}.") and isinstance(inner, dict):
            return _value(inner, key.removeprefix(f"{name}."))
    sys.exit(f"host.json has no {key}")


def _with_table(page: str, heading: str, titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return the page with another table in the place of the first below the heading."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    titles = list(titles)
    table = "\n".join((f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}", *lines))
    before, title, after = page.partition(f"\n## {heading}\n")
    if not title:
        sys.exit(f"the page has no heading {heading!r}")
    return before + title + _TABLE.sub(lambda _: table, after, count=1)


if __name__ == "__main__":
    DOCUMENT.write_text(manual(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
