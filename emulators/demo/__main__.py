"""Push, replicate, clean, verify: the whole product on real images and real protocols, in one screen."""

import argparse
import json
import os
import re
import shlex
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from emulators.azurite import AzuriteStartError
from emulators.demo.client import PlainClient, PulledWrong
from emulators.demo.scenario import PLATFORMS, RELEASE, REPOSITORY, Scenario, push_history, push_release
from emulators.functions_host import HostStartError
from emulators.stack import Stack

_ROOT = Path(__file__).resolve().parents[2]
_POLICY = Path(__file__).with_name("policy.yaml")
_PATIENCE = 60.0


class DemoFailed(Exception):
    """Something is not as it should be; the text says what."""


_FAILURES = (DemoFailed, PulledWrong, HostStartError, AzuriteStartError, requests.RequestException)


class Demo:
    """One walk through the product; every step checks what it shows."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self._stack = stack
        self._console = console
        acr, hub = stack.acr, stack.dockerhub
        self._acr = PlainClient(
            acr.login_server, acr.admin_username, acr.admin_password, ca_file=stack.ca.ca_file
        )
        self._hub = PlainClient(hub.registry, hub.username, hub.token, ca_file=stack.ca.ca_file)
        self._replica = f"{hub.namespace}/{REPOSITORY.partition('/')[2]}"

    def close(self) -> None:
        self._acr.close()
        self._hub.close()

    def run(self) -> None:
        now = datetime.now(UTC)
        scenario = push_history(self._stack.acr, self._acr, now)
        self._show_push(scenario)
        before = {reference: self._acr.digest(REPOSITORY, reference) for reference in scenario.kept}
        self._show_plan(scenario)
        self._show_night(scenario)
        self._verify(scenario, before)

    def _show_push(self, scenario: Scenario) -> None:
        self._title(f"1. A push: {REPOSITORY}:{RELEASE}, {' and '.join(PLATFORMS)}, signed")
        started = time.monotonic()
        push_release(self._acr, scenario)
        digest = scenario.release.digest
        self._wait(
            lambda: self._hub.digest(self._replica, RELEASE) == digest, f"{RELEASE} to arrive on Docker Hub"
        )
        seconds = time.monotonic() - started
        for reference in scenario.signatures:
            self._wait(partial(self._is_replica, reference), f"the signature {reference} to be replicated")
        self._wait(lambda: self._replicated() is not None, "the replication to be recorded")
        outcome = self._replicated() or {}
        pulled = list(self._hub.pull(self._replica, RELEASE))
        pushes = [event for event in self._stack.acr_events() if event["target"]["repository"] == REPOSITORY]
        tagged = sum(1 for event in pushes if event["target"].get("tag"))
        self._say(f"{len(pushes)} push events, {tagged} with a tag: the others are children, or signatures")
        self._say(f"docker.io/{self._replica}:{RELEASE} holds the same digest after {seconds:.1f} s")
        self._say(f"  {digest}, and so do its signatures")
        self._say(
            f"  {outcome['result']}; pulled back: {len(pulled)} manifests and blobs, "
            f"{sum(size for _, size in pulled):,} bytes, every digest right"
        )

    def _is_replica(self, reference: str) -> bool:
        return self._hub.digest(self._replica, reference) is not None

    def _replicated(self) -> dict[str, Any] | None:
        runs = [name for name in self._get("runs")["runs"] if name.startswith("pushes-")]
        for run in runs:
            for outcome in self._get(f"runs/{run}/replications")["replications"]:
                if outcome["target"].endswith(f"{self._replica}:{RELEASE}"):
                    return dict(outcome)
        return None

    def _show_plan(self, scenario: Scenario) -> None:
        self._title("2. The night, in plan mode: what would go, and why")
        plan = self._night()["plan"]
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 1))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=20)
        table.add_column()
        for verb, items, name in (("  untag", plan["untag"], "tag"), ("  delete", plan["delete"], "digest")):
            for item in items:
                table.add_row(verb, item[name], _short(item["reason"]))
        self._console.print(table)
        self._say(f"kept: {len(plan['keep'])} tags and manifests, each with its reason in the stored report")
        for reference in (*scenario.kept, *scenario.removed):
            if self._acr.digest(REPOSITORY, reference) is None:
                raise DemoFailed(f"plan mode removed {reference}")

    def _show_night(self, scenario: Scenario) -> None:
        self._title("3. The night, in apply mode")
        self._stack.restart_host({"CLEANUP_MODE": "apply"})
        report = self._night()
        results = Counter((outcome["action"], outcome["result"]) for outcome in report["outcomes"])
        for (action, result), count in sorted(results.items()):
            self._say(f"{action}: {count} {result}")
        wrong = [outcome for outcome in report["outcomes"] if outcome["result"] != "done"]
        if wrong:
            raise DemoFailed(f"not done: {wrong}")
        for reference, why in scenario.removed.items():
            if self._acr.digest(REPOSITORY, reference) is not None:
                raise DemoFailed(f"{reference} is still there: {why}")

    def _verify(self, scenario: Scenario, before: Mapping[str, str | None]) -> None:
        self._title("4. Nothing that was kept was harmed")
        contents, size = 0, 0
        for reference, digest in before.items():
            if digest is None or self._acr.digest(REPOSITORY, reference) != digest:
                raise DemoFailed(f"{reference} does not point where it did: {scenario.kept[reference]}")
            for _, length in self._acr.pull(REPOSITORY, reference):
                contents, size = contents + 1, size + length
        expected = {reference for reference in scenario.kept if ":" not in reference}
        if set(self._acr.tags(REPOSITORY)) != expected:
            raise DemoFailed(f"tags are {self._acr.tags(REPOSITORY)}, expected {sorted(expected)}")
        if self._hub.digest(self._replica, RELEASE) != scenario.release.digest:
            raise DemoFailed("the replica moved")
        self._say(
            f"{len(before)} kept references pulled whole: {contents} manifests and blobs, {size:,} bytes"
        )
        self._say(f"{len(scenario.removed)} unwanted references gone; Docker Hub still holds {RELEASE}")

    def _night(self) -> dict[str, Any]:
        """Fire the timer, wait for the run to finish, and return the repository's report."""
        known = set(self._get("runs")["runs"])
        self._stack.fire_timer("start_nightly_run")
        fresh: list[str] = []

        def finished() -> bool:
            names = {name for name in self._get("runs")["runs"] if name.startswith("night-")}
            fresh[:] = sorted(names - known)
            return bool(fresh) and self._get(f"runs/{fresh[0]}").get("state") in {"finished", "refused"}

        self._wait(finished, "the night to end")
        registry = quote(self._stack.acr.login_server, safe="")
        return self._get(f"runs/{fresh[0]}/repositories/{registry}/{REPOSITORY}")

    def _get(self, path: str) -> dict[str, Any]:
        host = self._stack.running_host()
        answer = requests.get(
            f"{host.url}/api/{path}", headers={"x-functions-key": host.master_key}, timeout=30
        )
        if answer.status_code == requests.codes.not_found:
            return {}
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise DemoFailed(f"waited {_PATIENCE:.0f} s in vain for {what}")
            time.sleep(0.1)

    def _title(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/bold]")

    def _say(self, text: str) -> None:
        self._console.print(f"   {text}", highlight=False, markup=False)


def _short(text: str) -> str:
    """Cut digests to what a person compares."""
    return re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}", r"\1…", text)


def _stay(stack: Stack, console: Console) -> None:
    """Leave everything running until Ctrl-C, and say what to try."""
    host, acr, hub = stack.running_host(), stack.acr, stack.dockerhub
    client = PlainClient(acr.login_server, acr.admin_username, acr.admin_password, ca_file=stack.ca.ca_file)
    with closing(client):
        push_history(acr, client, datetime.now(UTC))
    folder = stack.settings_file.parent
    (folder / "stack.json").write_text(json.dumps(stack.ready(), indent=2), encoding="utf-8")
    (folder / "env").write_text(_environment(stack), encoding="utf-8")
    place = os.path.relpath(folder)
    console.print(
        f"""
[bold]The stack is running; Ctrl-C ends it.[/bold]

   registry     {acr.login_server}   user {acr.admin_username}   password {acr.admin_password}
   Docker Hub   {hub.registry}   user {hub.username}   token {hub.token}
   app          {host.url}   key {host.master_key}
   all of it    {place}/stack.json
   for a shell  . {place}/env

 {REPOSITORY} holds months of images. In another terminal:
   . {place}/env
   ./steward plan --policy emulators/demo/policy.yaml

 Give one a release tag, and see it on Docker Hub:
   ./steward copy $STEWARD_REGISTRY/{REPOSITORY}:nightly $STEWARD_REGISTRY/team/app:v1
   ./steward show docker.io/{hub.namespace}/app:v1

 The app's own pages, for a browser:
   {host.url}/api/?code={host.master_key}

 docs/getting-started.md goes on from here.
""",
        highlight=False,
        soft_wrap=True,
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


def _environment(stack: Stack) -> str:
    """Return what a shell needs so that the command line finds the stack."""
    acr, hub, host = stack.acr, stack.dockerhub, stack.running_host()
    values = {
        "STEWARD_REGISTRY": acr.login_server,
        "STEWARD_USERNAME": acr.admin_username,
        "STEWARD_PASSWORD": acr.admin_password,
        "STEWARD_CA_FILE": str(stack.ca.ca_file),
        "DOCKERHUB_REGISTRY_ENDPOINT": f"https://{hub.registry}",
        "DOCKERHUB_API_ENDPOINT": hub.api_url,
        "DOCKERHUB_USERNAME": hub.username,
        "DOCKERHUB_TOKEN": hub.token,
        "APP": host.url,
        "KEY": host.master_key,
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m emulators.demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="leave the stack running instead")
    parser.add_argument(
        "--files",
        type=Path,
        default=_ROOT / ".steward",
        metavar="FOLDER",
        help="with --stay: where endpoints and settings are written",
    )
    arguments = parser.parse_args()
    settings_file = None
    if arguments.stay:
        arguments.files.mkdir(mode=0o700, exist_ok=True)
        settings_file = arguments.files / "local.settings.json"
    console = Console(width=110, highlight=False)
    started = time.monotonic()
    try:
        with Stack(app=_ROOT, policy_file=_POLICY, settings_file=settings_file) as stack:
            if arguments.stay:
                _stay(stack, console)
                return
            console.print(
                f"[bold]The stack is up[/bold] after {time.monotonic() - started:.1f} s: "
                "ACR, Docker Hub, identity, Event Grid, Azurite, and the app in a Functions host."
            )
            with closing(Demo(stack, console)) as demo:
                try:
                    demo.run()
                except _FAILURES:
                    console.print(
                        "\nThe end of the app's log:", *stack.running_host().log.splitlines()[-30:], sep="\n"
                    )
                    raise
    except _FAILURES as error:
        console.print(f"\n[bold red]The demo failed:[/bold red] {escape(str(error))}")
        sys.exit(1)
    console.print(f"\n[bold green]All as it should be[/bold green], in {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
