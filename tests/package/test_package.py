"""What ships: the app and nothing else, the same bytes each time."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.package.conftest import ROOT, build

pytestmark = pytest.mark.xdist_group("package")


def names(package: Path) -> list[str]:
    with zipfile.ZipFile(package) as archive:
        return archive.namelist()


def tracked() -> set[str]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(listing.stdout.split("\0"))


def test_the_package_holds_the_app_and_nothing_else(package: Path) -> None:
    top = {name.split("/")[0] for name in names(package)}
    assert top == {"function_app.py", "functions", "host.json", "requirements.txt", "shared"}


def test_every_tracked_module_of_the_app_ships(package: Path) -> None:
    app = {name for name in tracked() if name.startswith(("functions/", "shared/"))}
    assert app <= set(names(package))


def test_only_tracked_files_ship(package: Path) -> None:
    assert set(names(package)) <= tracked()
    assert not [name for name in names(package) if "__pycache__" in name or "local.settings" in name]


def test_the_package_is_small(package: Path) -> None:
    assert package.stat().st_size < 1_000_000


def test_the_same_files_make_the_same_bytes(package: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    build(again)
    assert again.read_bytes() == package.read_bytes()


def test_the_script_explains_itself_when_asked_wrongly() -> None:
    script = ROOT / "scripts" / "package.py"
    refused = subprocess.run([sys.executable, script, "--help"], check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "Usage:" in refused.stdout


def test_every_pattern_of_funcignore_is_understood_by_all_tools() -> None:
    lines = (ROOT / ".funcignore").read_text(encoding="utf-8").splitlines()
    for pattern in (line for line in lines if line and not line.startswith("#")):
        assert not pattern.startswith("!"), pattern
        assert "**" not in pattern, pattern
