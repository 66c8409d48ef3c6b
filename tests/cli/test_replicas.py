"""What plans say of Docker Hub, and what is done there: the grammar is that of Azure registries."""

from datetime import timedelta

import pytest

from emulators.dockerhub import DockerHubEmulator
from emulators.registry.images import Artifact, build_image, build_index
from tests.cli.conftest import AT
from tests.cli.terminal import Steward

NEWEST_BY_TIME = """\
version: 1
retention:
  grace: 1h
  limits: {repository: {percent: 100}, run: {percent: 100}}
  protect:
    - {name: releases, repositories: ["**"], tags: ["v*"]}
  rules:
    - {name: by-age, registries: [docker.io], repositories: ["acme/*"], tags: ["pr-*"], older_than: 14d}
    - {name: newest, registries: [docker.io], repositories: ["acme/*"], tags: ["ci-*"], keep_newest: 1}
    - {name: loose, registries: [docker.io], repositories: ["acme/*"], untagged: true, older_than: 7d}
    - {name: azure-only, repositories: ["**"], tags: ["v*"], older_than: 1d}
"""
ROUTE = """\
replication:
  routes:
    - {name: hub, from: {repositories: ["team/*"], tags: ["v*"]}, to: "docker.io/acme/{basename}"}
"""
ONLY = ("--policy", "policy.yaml", "--at", AT.isoformat())
INDEX = build_index([build_image(seed=4), build_image(seed=5, platform="linux/arm64")])


@pytest.fixture
def replica(hub: DockerHubEmulator, steward: Steward, repository: str) -> str:
    """A repository on Docker Hub with old and young tags and an orphan, and the policy for it."""
    name = f"acme/{repository.partition('/')[2]}"

    def push(artifact: Artifact, *, tag: str | None = None, days: float) -> None:
        artifact.push_to(hub.state, name, tag=tag, at=AT - timedelta(days=days))

    push(build_image(seed=1), tag="v1.0", days=400)
    push(INDEX, tag="pr-1", days=40)
    push(build_image(seed=6), tag="pr-2", days=2)
    push(build_image(seed=7), tag="ci-1", days=50)
    push(build_image(seed=8), tag="ci-2", days=40)
    push(build_image(seed=9), days=90)
    (steward.directory / "policy.yaml").write_text(NEWEST_BY_TIME, encoding="utf-8")
    return name


def tags(hub: DockerHubEmulator, name: str) -> set[str]:
    found = hub.state.repository(name)
    return set() if found is None else set(found.tags)


def test_docker_hub_is_planned_for_with_the_words_for_azure(steward: Steward, replica: str) -> None:
    named = steward.run("plan", replica, "--registry", "docker.io", *ONLY, "--own-times", "--json")
    assert named.code == 0, named.err
    (plan,) = named.json["repositories"]
    assert named.json["registry"] == "docker.io"
    assert plan["repository"] == replica
    assert {each["tag"]: each["rule"] for each in plan["untag"]} == {"pr-1": "by-age", "ci-1": "newest"}
    assert len(plan["delete"]) == 5
    assert plan["warnings"] == []
    assert "would go" in steward.run("plan", f"docker.io/{replica}", *ONLY, "--own-times").out


def test_in_doubt_ages_count_and_orders_do_not_and_that_is_said(steward: Steward, replica: str) -> None:
    done = steward.run("plan", f"docker.io/{replica}", *ONLY, "--json")
    assert done.code == 0, done.err
    (plan,) = done.json["repositories"]
    assert {each["tag"] for each in plan["untag"]} == {"pr-1"}
    kept = {each["tag"]: each["reason"] for each in plan["keep"] if "tag" in each}
    assert kept["ci-1"] == kept["ci-2"] == "kept by rule newest"
    later, doubt = plan["warnings"]
    assert "later than that to their source" in later
    assert "--settings FILE reads the app's ledger" in later
    assert doubt == "rule newest: which tags are the newest 1 is not known; all that it matches stays"


def test_on_a_terminal_what_holds_for_all_is_said_once(
    steward: Steward, hub: DockerHubEmulator, replica: str
) -> None:
    build_image(seed=6).push_to(hub.state, f"{replica}-two", tag="pr-1", at=AT - timedelta(days=40))
    with steward.terminal("plan", f"docker.io/{replica}*", *ONLY, "-q", width=80) as terminal:
        assert terminal.finish() == 0
    printed = [line for line in terminal.text.splitlines() if not line.startswith("warning:")]
    assert max(map(len, printed)) <= 80
    assert terminal.text.count("docker.io/acme/") == 2
    assert terminal.text.count("--own-times") == 1
    assert terminal.text.count("rule newest: which tags are") == 2


def test_a_rule_that_does_not_name_docker_hub_is_not_for_it(steward: Steward, replica: str) -> None:
    (steward.directory / "policy.yaml").write_text(
        "version: 1\nretention: {rules: [{name: all, repositories: ['**'], tags: ['*'], older_than: 1d}]}\n"
    )
    done = steward.run("plan", f"docker.io/{replica}", *ONLY, "--json")
    assert done.code == 0
    (plan,) = done.json["repositories"]
    assert plan["untag"] == plan["delete"] == []
    assert "must have docker.io under registries" in plan["warnings"][0]


def test_without_names_the_namespaces_of_routes_are_planned(steward: Steward, replica: str) -> None:
    done = steward.run("plan", "--registry", "docker.io", *ONLY)
    assert done.code == 2
    assert "one namespace at a time" in done.err
    assert "'acme/*'" in done.err
    (steward.directory / "policy.yaml").write_text(NEWEST_BY_TIME + ROUTE, encoding="utf-8")
    done = steward.run("plan", "--registry", "docker.io", *ONLY, "--json")
    assert replica in {each["repository"] for each in done.json["repositories"]}


@pytest.mark.parametrize("name", ["*/app", "a/b/c", "alpine", "Acme/app"])
def test_what_is_no_repository_of_docker_hub_is_wrong_usage(steward: Steward, name: str) -> None:
    done = steward.run("plan", name, "--registry", "docker.io", "--policy", "policy.yaml")
    assert done.code == 2
    assert "error:" in done.err
    assert "Traceback" not in done.err


def test_docker_hub_is_cleaned_and_pruned(steward: Steward, hub: DockerHubEmulator, replica: str) -> None:
    done = steward.run("clean", f"docker.io/{replica}", *ONLY, "--own-times", "--yes", "--json")
    assert done.code == 0, done.err
    (cleaned,) = done.json["repositories"]
    assert {outcome["result"] for outcome in cleaned["outcomes"]} == {"done"}
    assert tags(hub, replica) == {"v1.0", "pr-2", "ci-2"}
    build_image(seed=20).push_to(hub.state, replica, at=AT)
    done = steward.run("prune", f"docker.io/{replica}", "--dry-run")
    assert "0 tags and 1 manifest" in done.out
    with steward.terminal("prune", f"docker.io/{replica}") as terminal:
        terminal.wait_for("[y/N]")
        terminal.answer("y")
        assert terminal.finish() == 0
    assert "1 deleted" in terminal.text
    assert tags(hub, replica) == {"v1.0", "pr-2", "ci-2"}


def test_explain_says_why_of_docker_hub_too(steward: Steward, replica: str) -> None:
    done = steward.run("explain", f"docker.io/{replica}:pr-1", *ONLY)
    assert "goes: older than 14d" in done.out
    done = steward.run("explain", f"docker.io/{replica}:ci-1", *ONLY)
    assert "stays: kept by rule newest" in done.out
    assert "--settings FILE" in done.out


def test_manifests_without_tags_are_listed_where_docker_hub_lists_them(
    steward: Steward, hub: DockerHubEmulator, replica: str
) -> None:
    found = {
        each["digest"]: each
        for each in steward.run("manifests", f"docker.io/{replica}", "--json").json["manifests"]
    }
    child = found[build_image(seed=5, platform="linux/arm64").digest]
    assert child["platform"] == "linux/arm64"
    assert child["held_by"] == [INDEX.digest]
    assert found[build_image(seed=9).digest]["tags"] == []
    hub.api_faults.inject(path=".*/manifests", status=404, times=None)
    done = steward.run("manifests", f"docker.io/{replica}", "--json")
    assert "Docker Hub does not list its manifests" in done.err
    assert all(each["tags"] for each in done.json["manifests"])
    done = steward.run("prune", f"docker.io/{replica}", "--dry-run")
    assert "did not list its manifests" in done.out


def test_a_child_on_docker_hub_is_not_taken_from_its_index(steward: Steward, replica: str) -> None:
    child = build_image(seed=5, platform="linux/arm64").digest
    done = steward.run("delete", f"docker.io/{replica}@{child}", "--yes")
    assert done.code == 2
    assert f"listed by the index {INDEX.digest}, tagged pr-1" in done.err


def test_a_first_policy_for_docker_hub_names_it(steward: Steward, replica: str) -> None:
    done = steward.run("policy", "init", f"docker.io/{replica}")
    assert done.code == 0, done.err
    assert done.out.count("registries: [docker.io]") == done.out.count("repositories:")
    (steward.directory / "first.yaml").write_text(done.out)
    assert steward.run("policy", "check", "first.yaml").code == 0
