import pytest

from emulators.acr import AcrEmulator
from emulators.registry.images import build_image, build_index, build_referrer
from tests.cli.conftest import Push
from tests.cli.terminal import Steward

RELEASE = build_index([build_image(seed=1), build_image(seed=2, platform="linux/arm64")])


def on_hub(repository: str) -> str:
    return f"acme/{repository.partition('/')[2]}"


def test_an_image_arrives_whole_and_private_on_docker_hub(
    steward: Steward, registry: str, filled: str
) -> None:
    target = f"docker.io/{on_hub(filled)}"
    done = steward.run("copy", f"{registry}/{filled}:v1.0", target, "--json")
    assert done.code == 0, done.err
    (copy,) = done.json["copies"]
    assert copy["result"] == "copied"
    assert copy["target"] == f"{target}:v1.0"
    assert copy["digest"] == RELEASE.digest
    assert copy["manifests_copied"] >= 3
    assert copy["bytes_copied"] > 0
    listed = steward.run("repositories", "docker.io/acme", "--json").json["repositories"]
    assert {each["repository"]: each["private"] for each in listed}[on_hub(filled)] is True
    again = steward.run("copy", f"{registry}/{filled}:v1.0", target)
    assert "is up to date" in again.out
    shown = steward.run("show", f"{target}:v1.0").out
    assert "cosign .sig" in shown


def test_a_target_may_have_another_tag_and_a_digest_needs_none(
    steward: Steward, acr: AcrEmulator, registry: str, filled: str
) -> None:
    copied = f"{filled}-copy"
    done = steward.run("copy", f"{registry}/{filled}@{RELEASE.digest}", f"{registry}/{copied}")
    assert done.code == 0
    found = acr.state.repository(copied)
    assert found is not None
    assert RELEASE.digest in found.manifests
    assert "v1.0" not in found.tags
    assert steward.run("copy", f"{registry}/{filled}:v1.0", f"{registry}/{copied}:other").code == 0
    found = acr.state.repository(copied)
    assert found is not None
    assert found.tags["other"].digest == RELEASE.digest


def test_signatures_can_be_left_behind(
    steward: Steward, acr: AcrEmulator, registry: str, repository: str, push: Push
) -> None:
    image = build_image(seed=50)
    push(repository, image, tag="v1")
    push(repository, build_referrer(image))
    done = steward.run(
        "copy", f"{registry}/{repository}:v1", f"{registry}/{repository}-bare", "--no-referrers"
    )
    assert done.code == 0
    found = acr.state.repository(f"{repository}-bare")
    assert found is not None
    assert set(found.manifests) == {image.digest}


def test_recursive_copies_every_tag_below_a_path(
    steward: Steward, acr: AcrEmulator, registry: str, repository: str, push: Push
) -> None:
    shared = build_image(seed=60)
    for name in ("one", "two/deep"):
        push(f"{repository}/{name}", shared, tag="v1")
        push(f"{repository}/{name}", build_image(), tag="v2")
    push(f"{repository}-not", build_image(), tag="v1")
    target = f"{repository}-target"
    command = ("copy", f"{registry}/{repository}", f"{registry}/{target}", "--recursive")
    done = steward.run(*command, "--json")
    assert done.code == 0, done.err
    assert {copy["target"] for copy in done.json["copies"]} == {
        f"{registry}/{target}/{name}:{tag}" for name in ("one", "two/deep") for tag in ("v1", "v2")
    }
    acr.traffic.clear()
    again = steward.run(*command)
    assert "0 tags copied, 0 B; 4 there before" in again.out
    assert acr.traffic.count(method="HEAD", status=200) == 8  # each tag, on each side
    with steward.terminal(*command) as terminal:
        assert terminal.finish() == 0
    assert "4/4" in terminal.text


def test_large_layers_have_a_bar_each_and_fit_the_terminal(
    steward: Steward, registry: str, repository: str, push: Push
) -> None:
    image = build_image(layers=2, layer_size=2_000_000, seed=62)
    push(repository, image, tag="v1")
    command = ("copy", f"{registry}/{repository}", f"{registry}/{repository}-bars", "--recursive")
    with steward.terminal(*command, width=80) as terminal:
        assert terminal.finish() == 0
    for digest, blob in image.blobs.items():
        assert (digest[:19] in terminal.text) is (len(blob) >= 1_000_000)
    assert "2.0 MB" in terminal.text
    assert "1 tag copied" in terminal.text
    done = steward.run(*command)
    assert done.err == ""


def test_layers_that_tags_share_are_asked_for_and_moved_once(
    steward: Steward, acr: AcrEmulator, registry: str, repository: str, push: Push
) -> None:
    image = build_image(layers=2, layer_size=50_000, seed=61)
    for number in range(12):
        push(repository, image, tag=f"t{number}")
    acr.traffic.clear()
    done = steward.run("copy", f"{registry}/{repository}", f"{registry}/{repository}-copy", "-r", "--json")
    assert {copy["result"] for copy in done.json["copies"]} <= {"copied", "up_to_date"}
    uploads = acr.traffic.count(method="PUT", path_regex=".*/blobs/uploads/.*")
    assert uploads == len(image.blobs)


def test_a_whole_registry_does_not_fit_docker_hub_when_names_are_deep(
    steward: Steward, registry: str, repository: str, push: Push
) -> None:
    push(f"{repository}/deep", build_image(), tag="v1")
    done = steward.run("copy", f"{registry}/test", "docker.io/acme", "--recursive")
    assert done.code == 2
    assert "Docker Hub's names are namespace/name" in done.err


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("localhost:1/app", "localhost:1/copy", "--recursive"),
        ("localhost:1/app:v1", "localhost:1/copy@sha256:" + "0" * 64, "its digest is the source's"),
    ],
)
def test_what_cannot_be_meant_is_said(steward: Steward, source: str, target: str, says: str) -> None:
    done = steward.run("copy", source, target)
    assert done.code == 2
    assert says in done.err


def test_one_failure_does_not_stop_the_others(
    steward: Steward, acr: AcrEmulator, registry: str, repository: str, push: Push
) -> None:
    broken = push(repository, build_image(seed=70), tag="broken")
    push(repository, build_image(seed=71), tag="good")
    acr.faults.inject(method="GET", path=f"/v2/{repository}/manifests/{broken}", status=403, times=99)
    done = steward.run("copy", f"{registry}/{repository}", f"{registry}/{repository}-copy", "-r", "--json")
    assert done.code == 4
    assert {copy["source"].rpartition(":")[2]: copy["result"] for copy in done.json["copies"]} == {
        "broken": "failed",
        "good": "copied",
    }
    assert "source failed" in done.err


def test_a_password_is_not_sent_to_the_other_registry(
    steward: Steward, acr: AcrEmulator, filled: str, docker_registry: str
) -> None:
    """STEWARD_PASSWORD does not say for which of two registries it is, so neither gets it."""
    command = ("copy", f"{acr.login_server}/{filled}:v1.0", f"{docker_registry}/a/b", "--target-plain-http")
    done = steward.run(*command)
    assert done.code == 4
    assert "STEWARD_SOURCE_PASSWORD" in done.err
    done = steward.run(
        *command, STEWARD_SOURCE_USERNAME=acr.admin_username, STEWARD_SOURCE_PASSWORD=acr.admin_password
    )
    assert done.code == 0, done.err


def test_ctrl_c_leaves_no_tag_behind(
    steward: Steward, acr: AcrEmulator, registry: str, repository: str, push: Push
) -> None:
    push(repository, build_image(layers=8, layer_size=2_000_000, seed=80), tag="v1")
    acr.traffic.clear()
    acr.latency = 0.3
    with steward.terminal("copy", f"{registry}/{repository}:v1", f"{registry}/{repository}-copy") as terminal:
        while acr.traffic.count(method="POST", path_regex=".*/blobs/uploads/.*") < 2:
            pass
        terminal.interrupt()
        assert terminal.finish() == 130
    assert "Traceback" not in terminal.text
    found = acr.state.repository(f"{repository}-copy")
    assert found is None or "v1" not in found.tags


def test_a_registry_that_asks_to_wait_is_waited_for(
    steward: Steward, acr: AcrEmulator, registry: str, repository: str, push: Push
) -> None:
    digest = push(repository, build_image(seed=90), tag="v1")
    acr.faults.inject(
        method="GET",
        path=f"/v2/{repository}/manifests/{digest}",
        status=429,
        headers={"Retry-After": "50"},
    )
    with steward.terminal("copy", f"{registry}/{repository}:v1", f"{registry}/{repository}-copy") as terminal:
        terminal.wait_for("going on in 50 s")
        terminal.interrupt()
        assert terminal.finish() == 130
