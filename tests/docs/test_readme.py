"""``README.md`` shows what the demo prints, and a policy that is one."""

import re
import subprocess
import sys

import pytest

from shared.policy import parse_policy
from tests.docs.documents import ROOT, blocks, text_of

README = text_of("README.md")


def alike(text: str) -> str:
    """Leave out of a line what is different each time: digests, numbers, and how it is broken."""
    text = re.sub(r"(sha256[:-])[0-9a-f]+…?", r"\1#", text)
    return " ".join(re.sub(r"\d[\d.,-]*(?=\s|$|;|:)", "#", text).split())


@pytest.mark.e2e
def test_what_the_demo_prints_is_what_is_shown() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emulators.demo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = alike(done.stdout)
    shown = README.partition("What `make demo` prints")[2].split("```")[1]
    entries = re.split(r"\n(?! {20})", shown.strip())
    assert len(entries) > 10
    assert [entry for entry in entries if alike(entry) not in printed] == []


def test_its_policy_is_one() -> None:
    (policy,) = (block.body for block in blocks("README.md") if block.language == "yaml")
    read = parse_policy(policy)
    assert read.retention.rule_names == ("pull-requests", "stale-untagged")
    assert [route.name for route in read.replication.routes] == ["releases"]


def test_every_document_can_be_found_from_it() -> None:
    documents = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert documents == set(re.findall(r"\]\(docs/([\w-]+\.md)\)", README))


def test_its_commands_are_those_of_the_first_walk() -> None:
    """Those are run by ``test_getting_started.py``; here they are only said in short."""
    walked = text_of("docs/getting-started.md")
    commands = "".join(block.body for block in blocks("README.md") if block.language == "sh")
    said = re.findall(r"^(\./steward \S+)", commands, re.MULTILINE)
    assert said
    assert [command for command in said if command not in walked] == []
