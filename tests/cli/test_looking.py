from collections.abc import Callable

import pytest

from emulators.acr import AcrEmulator
from emulators.dockerhub import DockerHubEmulator
from emulators.registry.images import build_image, build_index, build_referrer
from tests.cli.conftest import Push
from tests.cli.terminal import Steward

RELEASE = build_index([build_image(seed=1), build_image(seed=2, platform="linux/arm64")])


@pytest.fixture
def on_hub(hub: DockerHubEmulator, repository: str) -> str:
    name = f"acme/{repository.partition('/')[2]}"
    RELEASE.push_to(hub.state, name, tag="v1.0")
    return f"docker.io/{name}"


def test_repositories_of_a_registry_and_of_a_path_in_it(
    steward: Steward, registry: str, repository: str, push: Push
) -> None:
    push(f"{repository}/deep", build_image(), tag="v1")
    push(f"{repository}-other", build_image(), tag="v1")
    names = steward.run("repositories", registry).out.splitlines()
    assert {f"{repository}/deep", f"{repository}-other"} <= set(names)
    done = steward.run("repositories", f"{registry}/{repository}", "--long", "--json")
    (found,) = done.json["repositories"]
    assert found["repository"] == f"{repository}/deep"
    assert (found["tags"], found["manifests"], found["locked"]) == (1, 1, False)


def test_the_same_words_list_a_docker_hub_namespace(steward: Steward, on_hub: str) -> None:
    found = steward.run("repositories", "docker.io/acme", "--json").json["repositories"]
    assert on_hub.partition("/")[2] in {each["repository"] for each in found}
    done = steward.run("repositories", "docker.io")
    assert done.code == 2
    assert "docker.io/acme" in done.err


def test_tags_in_a_pipe_are_tab_separated_and_whole(steward: Steward, registry: str, filled: str) -> None:
    lines = [line.split("\t") for line in steward.run("tags", f"{registry}/{filled}").out.splitlines()]
    assert [line[0] for line in lines if not line[0].startswith("sha256")] == ["pr-1", "pr-2", "pr-3", "v1.0"]
    assert all(len(line[1]) == 71 for line in lines)


@pytest.mark.parametrize("width", [80, 120])
def test_tags_on_a_terminal_fit_it(
    steward: Steward, registry: str, filled: str, push: Push, width: int
) -> None:
    push(filled, build_image(), tag="long-" * 20 + "tag", days=1)
    with steward.terminal("tags", f"{registry}/{filled}", width=width) as terminal:
        assert terminal.finish() == 0
    lines = terminal.text.splitlines()
    assert lines[0].split() == ["TAG", "DIGEST", "UPDATED", "LOCKED"]
    assert max(map(len, lines)) <= width


def test_tags_of_docker_hub_have_digests_and_sizes(steward: Steward, on_hub: str) -> None:
    (tag,) = steward.run("tags", on_hub, "--json").json["tags"]
    assert tag["tag"] == "v1.0"
    assert tag["digest"] == RELEASE.digest
    assert tag["size"] > 0


def test_the_first_of_ten_thousand_tags_is_shown_before_the_third_page_is_there(
    steward: Steward, acr: AcrEmulator, repository: str, push: Push
) -> None:
    image = build_image()
    push(repository, image, tag="t00000")
    for number in range(1, 10_000):
        acr.state.put_manifest(repository, image.content, image.media_type, tag=f"t{number:05}")
    command = ("tags", f"{acr.login_server}/{repository}")

    def break_the_third_page() -> None:
        acr.faults.clear()
        acr.faults.inject(path=f"/acr/v1/{repository}/_tags", after=2, times=None, status=403)

    break_the_third_page()
    done = steward.run(*command)
    assert done.code == 4
    assert done.out.startswith("t00000\t")
    assert done.out.count("\n") == 2000
    break_the_third_page()
    with steward.terminal(*command) as terminal:
        assert terminal.finish() == 4
    assert "t00000" in terminal.text
    acr.faults.clear()
    assert steward.run(*command).out.splitlines()[-1].startswith("t09999\t")


def test_tags_of_docker_hub_are_shown_page_by_page(steward: Steward, hub: DockerHubEmulator) -> None:
    for number in range(250):
        build_image(seed=1).push_to(hub.state, "acme/many", tag=f"t{number:03}")
    hub.api_faults.inject(path=".*/many/tags", after=2, times=None, status=403)
    done = steward.run("tags", "docker.io/acme/many")
    assert done.code == 4
    assert done.out.count("\n") == 200
    assert "steward doctor docker.io" in done.err


def test_manifests_say_what_points_at_each(steward: Steward, registry: str, filled: str) -> None:
    done = steward.run("manifests", f"{registry}/{filled}", "--json")
    found = {item["digest"]: item for item in done.json["manifests"]}
    assert len(found) == 10
    child = found[build_image(seed=2, platform="linux/arm64").digest]
    assert child["platform"] == "linux/arm64"
    assert child["held_by"] == [RELEASE.digest]
    assert found[RELEASE.digest]["tags"] == ["v1.0"]
    with steward.terminal("manifests", f"{registry}/{filled}", width=120) as terminal:
        assert terminal.finish() == 0
    assert max(map(len, terminal.text.splitlines())) <= 120
    untagged = steward.run("manifests", f"{registry}/{filled}", "--untagged", "--json").json["manifests"]
    assert all(not item["tags"] for item in untagged)
    assert len(untagged) == 5


def test_show_draws_platforms_and_signatures(
    steward: Steward, registry: str, filled: str, push: Push, transcript: Callable[[str, str], None]
) -> None:
    push(filled, build_referrer(RELEASE, artifact_type="application/spdx+json", seed=9))
    with steward.terminal("show", f"{registry}/{filled}:v1.0", width=80) as terminal:
        assert terminal.finish() == 0
    transcript("show-80", terminal.text)
    root = steward.run("show", f"{registry}/{filled}:v1.0", "--json").json["root"]
    assert root["digest"] == RELEASE.digest
    assert [child["label"] for child in root["children"]] == ["linux/amd64", "linux/arm64"]
    assert {referrer["artifact_type"] for referrer in root["referrers"]} >= {"application/spdx+json"}


def test_show_works_on_docker_hub_and_on_plain_registries(
    steward: Steward, on_hub: str, docker_registry: str
) -> None:
    assert "linux/arm64" in steward.run("show", f"{on_hub}:v1.0").out
    done = steward.run("copy", f"{on_hub}:v1.0", f"{docker_registry}/some/app", "--target-plain-http")
    assert done.code == 0, done.err
    place = f"{docker_registry}/some/app"
    done = steward.run("show", f"{place}:v1.0", "--plain-http")
    assert "linux/arm64" in done.out
    assert steward.run("tags", place, "--plain-http").out == "v1.0\n"
    assert "some/app" in steward.run("repositories", docker_registry, "--plain-http").out
    (item,) = steward.run("manifests", place, "--plain-http", "--json").json["manifests"]
    assert item["digest"] == RELEASE.digest


def test_what_only_azure_offers_is_said_of_a_plain_registry(steward: Steward, docker_registry: str) -> None:
    done = steward.run("plan", "--registry", docker_registry, "--policy", "policy.yaml", "--plain-http")
    assert done.code == 2
    assert f"{docker_registry}, a plain OCI registry, cannot be planned for" in done.err
    done = steward.run("untag", f"{docker_registry}/some/app:v1", "--yes", "--plain-http")
    assert done.code == 2
    assert "no safe way to remove only a tag" in done.err


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["tags", "localhost:1/x:v1"], "a repository is wanted here"),
        (["show", "localhost:1/x"], "names no tag and no digest"),
        (["untag", "localhost:1/x", "--yes"], "names no tag"),
        (["tags", "app"], "as in myreg.azurecr.io/app or docker.io/acme/app"),
        (["tags", "localhost:1"], "steward repositories localhost:1 lists them"),
        (["repositories", "localhost:1/x:v1"], "as in localhost:1, or localhost:1/x"),
        (["show", "localhost:1/x@sha256:12"], "needs 64 lower-case hex digits"),
        (["tags", "example.com/x", "--plain-http"], "for registries on this machine"),
    ],
)
def test_a_place_that_is_none_is_told_how_one_is_written(
    steward: Steward, command: list[str], says: str
) -> None:
    done = steward.run(*command)
    assert done.code == 2
    assert says in done.err


def test_a_registry_that_does_not_answer_is_exit_code_4(steward: Steward) -> None:
    done = steward.run("tags", "localhost:1/x")
    assert done.code == 4
    assert "localhost:1 does not answer: nothing listens there" in done.err
    assert "--plain-http" in done.err


@pytest.mark.parametrize("verb", ["tags", "manifests", "show"])
@pytest.mark.parametrize("server", ["azure", "docker.io/acme"])
def test_what_does_not_exist_is_said_in_words_and_with_a_next_step(
    steward: Steward, registry: str, verb: str, server: str
) -> None:
    place = f"{registry if server == 'azure' else server}/nothing"
    done = steward.run(verb, f"{place}:v1" if verb == "show" else place)
    assert done.code == 4
    assert done.err.startswith("error: ")
    assert "https://" not in done.err
    assert "hint: steward " in done.err


def test_an_empty_list_says_so(steward: Steward, registry: str) -> None:
    done = steward.run("repositories", f"{registry}/no-such-path")
    assert (done.code, done.out) == (0, "")
    assert "or none that you may see" in done.err
    assert steward.run("repositories", f"{registry}/no-such-path", "-q").err == ""


def test_nobody_signed_in_is_one_sentence(bare: Steward) -> None:
    done = bare.run("login-server", AZURE_TOKEN_CREDENTIALS="EnvironmentCredential")
    assert done.code == 4
    assert done.err == "error: nobody is signed in to Azure\nhint: az login\n"
