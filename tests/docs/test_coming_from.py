"""Each translation in ``docs/coming-from.md`` keeps and removes what its cases say, and runs where it can."""

import json
import os
import re
import shutil
import subprocess
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from cli.policycases import read_cases, run_case
from emulators.acr import AcrEmulator
from emulators.dockerhub import DockerHubEmulator
from emulators.functions_host.schedule import parse_schedule
from emulators.registry.images import (
    Artifact,
    build_cosign_signature,
    build_image,
    build_index,
    build_referrer,
    cosign_tag,
)
from shared.errors import InvalidPolicy
from shared.oci.names import LoginServer, Reference, RepositoryName, TagName
from shared.policy import Policy, parse_policy
from shared.replication.routes import route_push
from tests.cli.terminal import Steward
from tests.docs.documents import Block, blocks, rows

DOCUMENT = "docs/coming-from.md"
TRANSLATIONS = Path(__file__).with_name("translations")
BLOCKS = blocks(DOCUMENT)
RULES = [block for block in BLOCKS if block.language == "yaml rules"]
NOW = datetime.now(UTC)


def as_policy(block: Block) -> str:
    head = "version: 1\nretention:\n  rules:\n"
    return head + textwrap.indent(block.body, "  ")


def under(heading: str, language: str) -> list[str]:
    found = [block.body for block in BLOCKS if (block.heading, block.language) == (heading, language)]
    assert found, f"no {language} under {heading}"
    return found


def rules_under(heading: str) -> str:
    return as_policy(Block(heading, "yaml rules", under(heading, "yaml rules")[0]))


def test_every_translation_has_cases_and_every_file_of_cases_a_translation() -> None:
    assert sorted(block.slug for block in RULES) == sorted(path.stem for path in TRANSLATIONS.iterdir())


@pytest.mark.parametrize("block", RULES, ids=lambda block: block.slug)
def test_a_translation_keeps_and_removes_what_its_cases_say(block: Block) -> None:
    policy = parse_policy(as_policy(block)).retention
    failures = [
        f"{case.name}: {failure}"
        for case in read_cases(TRANSLATIONS / f"{block.slug}.yaml").cases
        for failure in run_case(case, policy)
    ]
    assert failures == []


@pytest.mark.parametrize(
    "age", [age for row in rows(DOCUMENT, "Ages") for age in re.findall("`(.+?)`", row[0])]
)
def test_an_age_that_would_be_misread_is_refused_with_its_line(age: str) -> None:
    text = rules_under("One filter").replace("older_than: 30d", f"older_than: {age}", 1)
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(text)
    assert [problem.line for problem in caught.value.problems] == [7]


@pytest.mark.parametrize("row", rows(DOCUMENT, "ACR Tasks"), ids=lambda row: str(row[0]))
def test_a_schedule_is_due_when_the_task_was(row: list[str]) -> None:
    task, ours = (parse_schedule(cell.strip("`")) for cell in row)
    assert len(row[0].split()) + 1 == len(row[1].split())
    moments = [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 28, 12, 30, tzinfo=UTC)]
    assert [task.next_after(moment) for moment in moments] == [ours.next_after(moment) for moment in moments]


# On a registry


def push(acr: AcrEmulator, repository: str, artifact: Artifact, days: float, tag: str | None = None) -> str:
    return artifact.push_to(acr.state, repository, tag=tag, at=NOW - timedelta(days=days))


def platforms() -> Artifact:
    return build_index([build_image(platform=platform) for platform in ("linux/amd64", "linux/arm64")])


def contents(state: object, repository: str) -> tuple[set[str], set[str]]:
    """Return the tags and the digests that a registry holds."""
    found = state.repository(repository)  # type: ignore[attr-defined]
    assert found is not None
    return set(found.tags), set(found.manifests)


def test_the_translated_purge_removes_from_a_registry_what_it_should(
    steward: Steward, acr: AcrEmulator, registry: str
) -> None:
    release, lost, kept_index, old = platforms(), build_image(), platforms(), platforms()
    push(acr, "team/app", release, 400, "v1.0")
    attestation = build_referrer(release)
    push(acr, "team/app", attestation, 400)
    push(acr, "team/app", old, 90, "pr-1")
    push(acr, "team/app", build_cosign_signature(old), 90, cosign_tag(old.digest))
    for number, days in ((2, 60), (3, 50), (4, 40)):
        push(acr, "team/app", kept_index if number == 4 else build_image(), days, f"pr-{number}")
    push(acr, "team/app", lost, 35)
    young = push(acr, "team/app", build_image(), 5)
    (steward.directory / "policy.yaml").write_text(rules_under("One filter"))

    done = steward.run(
        "clean", "team/app", "--registry", registry, "--policy", "policy.yaml", "--yes", "--json"
    )

    assert done.code == 0, done.err
    tags, digests = contents(acr.state, "team/app")
    assert tags == {"v1.0", "pr-2", "pr-3", "pr-4"}
    whole = {node.digest for artifact in (release, kept_index) for node in artifact.walk()}
    assert whole | {attestation.digest, young} <= digests
    assert not digests & {lost.digest, *(node.digest for node in old.walk())}


def test_the_translated_purge_stops_neither_at_a_hole_nor_at_a_refusal(
    steward: Steward, acr: AcrEmulator, registry: str
) -> None:
    refused, gone = build_image(), build_image()
    index = platforms()
    acr.state.create_repository("team/holes")
    acr.state.put_manifest(
        "team/holes", index.content, index.media_type, tag="v1", at=NOW - timedelta(days=400)
    )
    push(acr, "team/holes", index.children[0], 400)  # the other child is missing
    orphan = push(acr, "team/holes", build_referrer(build_image()), 400)
    for artifact in (refused, gone):
        push(acr, "team/holes", artifact, 90)
    path = f"/v2/team/holes/manifests/{refused.digest}"
    acr.faults.inject(method="DELETE", path=path, times=None, status=403, body="{}")
    (steward.directory / "policy.yaml").write_text(
        rules_under("One filter").replace("team/app", "team/holes")
    )

    done = steward.run(
        "clean", "team/holes", "--registry", registry, "--policy", "policy.yaml", "--yes", "--json"
    )

    assert done.code == 4
    _, digests = contents(acr.state, "team/holes")
    assert digests == {index.digest, index.children[0].digest, refused.digest}
    assert orphan not in digests
    (repository,) = done.json["repositories"]
    assert {each["target"]: each["result"] for each in repository["outcomes"]} == {
        refused.digest: "failed",
        gone.digest: "done",
        orphan: "done",
    }


def test_the_translated_prune_takes_no_platform_and_no_signature(
    steward: Steward, acr: AcrEmulator, registry: str
) -> None:
    release = platforms()
    push(acr, "team/app", release, 400, "v9")
    signature = push(acr, "team/app", build_referrer(release), 400)
    lost = push(acr, "team/app", build_image(), 35)
    (command,) = under("Only untagged manifests", "sh")[1:]
    words = command.replace("myreg.azurecr.io", registry).split()
    assert words.pop(0) == "./steward"

    done = steward.run(*words, "--yes")

    assert done.code == 0, done.err
    _, digests = contents(acr.state, "team/app")
    assert {signature, *(node.digest for node in release.walk())} <= digests
    assert lost not in digests


# Beside skopeo


@pytest.fixture
def skopeo(acr: AcrEmulator, docker_registry: str, steward: Steward) -> "Skopeo":
    if shutil.which("skopeo") is None and os.environ.get("STEWARD_REQUIRE_PEERS") != "1":
        pytest.skip("skopeo is not installed")
    return Skopeo(acr, docker_registry, steward)


class Skopeo:
    """Runs the commands of the page against the emulator, with docker-registry in Docker Hub's place."""

    def __init__(self, acr: AcrEmulator, target: str, steward: Steward) -> None:
        self._acr = acr
        self._target = target
        self._folder = steward.directory
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(steward.directory),
            "SSL_CERT_FILE": steward.environment["STEWARD_CA_FILE"],
        }

    def run(self, command: str) -> None:
        command = command.replace("myreg.azurecr.io", self._acr.login_server)
        command = command.replace("docker.io/acme", f"{self._target}/acme")
        program, verb, *words = command.split()
        assert program == "skopeo"
        user = f"{self._acr.admin_username}:{self._acr.admin_password}"
        self._skopeo(verb, "--src-creds", user, "--dest-tls-verify=false", *words)

    def digests(self, repository: str) -> dict[str, str]:
        """Return what the tags of a repository in Docker Hub's place point at."""
        place = f"docker://{self._target}/acme/{repository}"
        tags = json.loads(self._skopeo("list-tags", "--tls-verify=false", place))["Tags"]
        return {
            tag: self._skopeo(
                "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"{place}:{tag}"
            ).strip()
            for tag in tags
        }

    def _skopeo(self, *words: str) -> str:
        done = subprocess.run(
            ["skopeo", "--insecure-policy", *words],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def test_copies_are_those_that_skopeo_makes_and_signatures_come_along(
    steward: Steward, acr: AcrEmulator, hub: DockerHubEmulator, registry: str, skopeo: Skopeo
) -> None:
    image = platforms()
    push(acr, "team/app", image, 1, "v1.0")
    signature = push(acr, "team/app", build_referrer(image), 1)
    commands = under("skopeo", "sh")
    skopeo.run(commands[0])

    words = commands[1].replace("myreg.azurecr.io", registry).split()
    done = steward.run(*words[1:])

    assert done.code == 0, done.err
    assert skopeo.digests("app") == {"v1.0": image.digest}
    replica = hub.state.repository("acme/app")
    assert replica is not None
    assert replica.tags["v1.0"].digest == image.digest
    assert signature in replica.manifests


def test_a_whole_repository_is_the_one_that_skopeo_syncs(
    steward: Steward, acr: AcrEmulator, hub: DockerHubEmulator, registry: str, skopeo: Skopeo
) -> None:
    for tag in ("sync-1", "sync-2"):
        push(acr, "team/whole", platforms(), 1, tag)
    commands = [command.replace("team/app", "team/whole") for command in under("skopeo", "sh")[2:]]
    skopeo.run(commands[0])

    words = commands[1].replace("myreg.azurecr.io", registry).replace("acme/app", "acme/whole").split()
    done = steward.run(*words[1:])

    assert done.code == 0, done.err
    replica = hub.state.repository("acme/whole")
    assert replica is not None
    assert skopeo.digests("whole") == {tag: replica.tags[tag].digest for tag in ("sync-1", "sync-2")}


def routed(policy: Policy, registry: str, repository: str, tags: set[str]) -> set[str]:
    return {
        f"{target.target.repository}:{target.target.tag}"
        for tag in tags
        for target in route_push(
            Reference(
                registry=LoginServer(registry), repository=RepositoryName(repository), tag=TagName(tag)
            ),
            policy.replication,
        )
    }


def test_routes_take_the_tags_that_skopeo_s_list_takes(
    steward: Steward, acr: AcrEmulator, registry: str, skopeo: Skopeo
) -> None:
    tags = {
        "team/app": {"v1.0", "v1.1-rc.1", "v10.0", "v2.0", "latest", "my-v1.0"},
        "team/web": {"1.3.9", "1.4.0", "1.4.1-rc.1", "2.0.0", "main"},
    }
    for repository, names in tags.items():
        image = build_image()
        for name in names:
            push(acr, repository, image, 1, name)
    (listed,) = under("A list of images", "yaml skopeo")
    wanted = yaml.safe_load(listed)["myreg.azurecr.io"]
    del wanted["images-by-semver"]  # Debian's skopeo is too old for it: what it takes is written out below
    wanted["credentials"] = {"username": acr.admin_username, "password": acr.admin_password}
    (steward.directory / "images.yaml").write_text(yaml.safe_dump({registry: wanted}))
    skopeo.run("skopeo sync --all --src yaml --dest docker images.yaml docker.io/acme/listed")
    copied = {f"acme/app:{tag}" for tag in skopeo.digests("listed/app")}

    (routes,) = under("A list of images", "yaml routes")
    document = f"version: 1\nreplication:\n  routes:\n{textwrap.indent(routes, '  ')}"
    policy = parse_policy(document.replace("myreg.azurecr.io", registry))

    assert routed(policy, registry, "team/app", tags["team/app"]) == copied
    assert routed(policy, registry, "team/web", tags["team/web"]) == {"acme/web:1.4.0", "acme/web:2.0.0"}
