import pytest

from emulators.acr import AcrEmulator
from emulators.dockerhub import DockerHubEmulator
from emulators.registry.images import build_image, build_index
from tests.cli.conftest import Push
from tests.cli.terminal import Steward


def tags(acr: AcrEmulator, repository: str) -> set[str]:
    found = acr.state.repository(repository)
    return set() if found is None else {tag for tag in found.tags if not tag.startswith("sha256-")}


def digests(acr: AcrEmulator, repository: str) -> set[str]:
    found = acr.state.repository(repository)
    return set() if found is None else set(found.manifests)


def test_untag_leaves_the_manifest(steward: Steward, acr: AcrEmulator, filled: str) -> None:
    place = f"{acr.login_server}/{filled}"
    before = digests(acr, filled)
    done = steward.run("untag", f"{place}:pr-1", f"{place}:pr-2", "--yes", "--json")
    assert done.code == 0
    assert [each["result"] for each in done.json["results"]] == ["done", "done"]
    assert tags(acr, filled) == {"v1.0", "pr-3"}
    assert digests(acr, filled) == before
    again = steward.run("untag", f"{place}:pr-1", "--yes")
    assert again.code == 0
    assert "already gone" in again.out


@pytest.mark.parametrize(
    "command", [["untag", "{}:pr-1"], ["delete", "{}:pr-1"], ["delete", "{}"], ["prune", "{}"]]
)
def test_what_removes_asks_and_refuses_where_nobody_can_answer(
    steward: Steward, acr: AcrEmulator, filled: str, command: list[str]
) -> None:
    arguments = [part.format(f"{acr.login_server}/{filled}") for part in command]
    done = steward.run(*arguments)
    assert done.code == 2
    assert "--yes" in done.err
    with steward.terminal(*arguments) as terminal:
        terminal.wait_for("[y/N]" if command != ["delete", "{}"] else "Type ")
        terminal.answer("n")
        assert terminal.finish() == 1
    assert tags(acr, filled) == {"v1.0", "pr-1", "pr-2", "pr-3"}


def test_a_manifest_goes_with_its_tags_after_they_were_shown(
    steward: Steward, acr: AcrEmulator, filled: str
) -> None:
    digest = build_image(seed=3).digest
    with steward.terminal("delete", f"{acr.login_server}/{filled}@{digest}") as terminal:
        terminal.wait_for("with its tag pr-1")
        terminal.wait_for("[y/N]")
        terminal.answer("y")
        assert terminal.finish() == 0
    assert tags(acr, filled) == {"v1.0", "pr-2", "pr-3"}
    assert digest not in digests(acr, filled)


def test_a_child_of_an_index_stays_unless_forced(steward: Steward, acr: AcrEmulator, filled: str) -> None:
    child = build_image(seed=1).digest
    place = f"{acr.login_server}/{filled}@{child}"
    done = steward.run("delete", place, "--yes")
    assert done.code == 2
    assert "listed by the index" in done.err
    assert "tagged v1.0" in done.err
    assert child in digests(acr, filled)
    assert steward.run("delete", place, "--yes", "--force").code == 0
    assert child not in digests(acr, filled)


def test_a_repository_goes_once_its_name_was_typed(steward: Steward, acr: AcrEmulator, filled: str) -> None:
    with steward.terminal("delete", f"{acr.login_server}/{filled}", width=200) as terminal:
        terminal.wait_for("with 5 tags and 10 manifests")
        terminal.wait_for(f"Type {filled}")
        terminal.answer(filled)
        assert terminal.finish() == 0
    assert tags(acr, filled) == set()
    done = steward.run("delete", f"{acr.login_server}/{filled}", "--yes")
    assert done.code == 4


def test_prune_takes_what_nothing_holds_and_nothing_else(
    steward: Steward, acr: AcrEmulator, filled: str
) -> None:
    place = f"{acr.login_server}/{filled}"
    before = digests(acr, filled)
    planned = steward.run("prune", place, "--dry-run", "--json").json["repositories"][0]
    assert [each["digest"] for each in planned["delete"]] == [build_image(seed=7).digest]
    assert digests(acr, filled) == before
    done = steward.run("prune", place, "--yes")
    assert done.code == 0
    assert before - digests(acr, filled) == {build_image(seed=7).digest}
    assert tags(acr, filled) == {"v1.0", "pr-1", "pr-2", "pr-3"}


def test_prune_leaves_what_is_too_young(steward: Steward, acr: AcrEmulator, repository: str) -> None:
    build_image(seed=20).push_to(acr.state, repository)
    build_image(seed=21).push_to(acr.state, repository, tag="v1")
    assert steward.run("prune", f"{acr.login_server}/{repository}", "--yes").code == 0
    assert len(digests(acr, repository)) == 2
    done = steward.run("prune", f"{acr.login_server}/{repository}", "--older-than", "soon", "--yes")
    assert done.code == 2


def test_a_locked_tag_is_not_removed_until_it_is_unlocked(
    steward: Steward, acr: AcrEmulator, filled: str
) -> None:
    place = f"{acr.login_server}/{filled}:v1.0"
    assert steward.run("lock", place).code == 0
    done = steward.run("untag", place, "--yes")
    assert done.code == 4
    assert "steward unlock" in done.err
    assert steward.run("unlock", place).code == 0
    assert steward.run("untag", place, "--yes").code == 0


def test_a_repository_can_be_locked_against_one_thing_only(
    steward: Steward, acr: AcrEmulator, filled: str
) -> None:
    done = steward.run("lock", f"{acr.login_server}/{filled}", "--only", "delete", "--json")
    assert done.json == {
        "action": "lock",
        "results": [{"target": f"{acr.login_server}/{filled}", "result": "done", "detail": ""}],
    }
    found = acr.state.repository(filled)
    assert found is not None
    assert (found.locks.delete, found.locks.write) == (False, True)
    assert steward.run("unlock", f"{acr.login_server}/{filled}").code == 0


def test_more_tags_are_put_on_a_manifest_and_none_moves_unasked(
    steward: Steward, acr: AcrEmulator, filled: str
) -> None:
    place = f"{acr.login_server}/{filled}"
    done = steward.run("tag", f"{place}:v1.0", "v1", "v1.0", "--json")
    assert [each["result"] for each in done.json["results"]] == ["done", "already_there"]
    assert "v1" in tags(acr, filled)
    done = steward.run("tag", f"{place}:v1.0", "pr-3")
    assert done.code == 2
    assert steward.run("tag", f"{place}:v1.0", "pr-3", "--yes").code == 0
    release = build_index([build_image(seed=1), build_image(seed=2, platform="linux/arm64")])
    found = acr.state.repository(filled)
    assert found is not None
    assert found.tags["pr-3"].digest == release.digest


def test_docker_hub_is_changed_through_its_api(
    steward: Steward, hub: DockerHubEmulator, repository: str
) -> None:
    name = f"acme/{repository.partition('/')[2]}"
    build_image(seed=30).push_to(hub.state, name, tag="v1")
    build_image(seed=31).push_to(hub.state, name, tag="v2")
    assert steward.run("delete", f"docker.io/{name}:v1", "--yes").code == 0
    listed = steward.run("tags", f"docker.io/{name}", "--json").json["tags"]
    assert [tag["tag"] for tag in listed] == ["v2"]
    with steward.terminal("delete", f"docker.io/{name}", width=200) as terminal:
        terminal.wait_for("with 1 tag")
        terminal.wait_for("Type acme/")
        terminal.answer(name)
        assert terminal.finish() == 0
    assert steward.run("tags", f"docker.io/{name}").code == 4
    done = steward.run("lock", f"docker.io/{name}")
    assert done.code == 2
    assert "Docker Hub cannot be locked" in done.err


def test_a_manifest_of_a_plain_registry_goes_with_the_tags_that_were_shown(
    steward: Steward, push: Push, acr: AcrEmulator, repository: str, docker_registry: str
) -> None:
    digest = push(repository, build_image(seed=40), tag="v1")
    place = f"{docker_registry}/plain/app"
    done = steward.run(
        "copy",
        f"{acr.login_server}/{repository}:v1",
        place,
        "--target-plain-http",
        STEWARD_SOURCE_USERNAME=acr.admin_username,
        STEWARD_SOURCE_PASSWORD=acr.admin_password,
    )
    assert done.code == 0, done.err
    done = steward.run("delete", f"{place}@{digest}", "--plain-http", "--yes")
    assert done.code == 0
    assert "with its tag v1" in done.err
    assert steward.run("show", f"{place}@{digest}", "--plain-http").code == 4
