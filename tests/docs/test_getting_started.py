"""``docs/getting-started.md`` is walked from its first command to its last, and shows what it says."""

import re

import pytest

from tests.docs.conftest import Up
from tests.docs.documents import blocks, text_of
from tests.docs.shell import Shell

DOCUMENT = "docs/getting-started.md"
OWN = "Your own registry"


@pytest.fixture(scope="module")
def walked(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in which every block of the page was run, in order.

    The reader's own registry is the emulated one, to which a password signs in where ``az login`` would.
    """
    shell = Shell(tmp_path_factory.mktemp("clone"))
    (shell.folder / ".steward").symlink_to(up.folder)
    emulated = up.stack["registries"]["demo"]
    own = False
    for block in blocks(DOCUMENT):
        if block.heading == OWN and not own:
            own = True
            shell.forget()
            shell.environment = {
                "STEWARD_USERNAME": emulated["username"],
                "STEWARD_PASSWORD": emulated["password"],
                "STEWARD_CA_FILE": up.stack["ca_file"],
                "DOCKERHUB_USERNAME": up.stack["dockerhub"]["username"],
                "DOCKERHUB_TOKEN": up.stack["dockerhub"]["token"],
                "DOCKERHUB_REGISTRY_ENDPOINT": f"https://{up.stack['dockerhub']['registry']}",
                "DOCKERHUB_API_ENDPOINT": up.stack["dockerhub"]["api_url"],
            }
        if block.language == "yaml":
            with (shell.folder / "policy.yaml").open("a", encoding="utf-8") as policy:
                policy.write(block.body)
        else:
            shell.run(block.body.replace("myreg.azurecr.io", emulated["login_server"]))
    return shell


def test_every_command_works(walked: Shell) -> None:
    assert len(walked.typed) >= 10
    assert walked.asked_of("az") == ["login"]


def test_every_target_of_make_exists(walked: Shell) -> None:
    targets = re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE)
    assert walked.asked_of("make") == ["setup", "demo", "up"]
    assert set(walked.asked_of("make")) <= set(targets)


def test_what_make_up_prints_leads_here(up: Up) -> None:
    assert ". .steward/env" in up.printed
    assert DOCUMENT in up.printed


def test_the_plan_and_the_explanation_give_reasons(walked: Shell) -> None:
    shown = walked.shown_by('./steward explain "$STEWARD_REGISTRY')
    assert re.search(r"untag pr-101 pull-requests: older than 14d", re.sub(r"\s+", " ", shown))
    assert "among the newest 2 of rule pull-requests" in shown


def test_the_night_is_listed(walked: Shell) -> None:
    assert "night-" in walked.shown_by('"kind": "night"')


def test_the_push_is_on_docker_hub_and_nothing_drifts(walked: Shell) -> None:
    shown = walked.shown_by("./steward show docker.io/acme/app:v1.0")
    assert "linux/arm64" in shown
    assert re.search(r"[1-9]\d* tags? compared: 0 to copy", shown)


def test_the_cleanup_removes_and_leaves(walked: Shell, up: Up) -> None:
    del up
    shown = walked.shown_by("./steward clean")
    assert "pr-101" in shown
    tags = walked.run(". .steward/env; ./steward tags $STEWARD_REGISTRY/team/shop | cut -f 1").split()
    assert "pr-106" in tags
    assert "pr-101" not in tags


def test_a_first_policy_is_written_that_can_be_used(walked: Shell) -> None:
    policy = (walked.folder / "policy.yaml").read_text(encoding="utf-8")
    assert "would go" in policy
    assert "docker.io/acme/{basename}" in policy
