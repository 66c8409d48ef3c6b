"""The package in an environment that has only what its requirements.txt pins."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.package.conftest import ROOT

pytestmark = pytest.mark.xdist_group("package")

APPROVED = json.loads((Path(__file__).parent / "functions.json").read_text(encoding="utf-8"))
WORKER = ("azure_functions_runtime", "azurefunctions")


def run(python: Path, *arguments: str | Path, cwd: Path, extra: Path | None = None) -> str:
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    if extra is not None:
        environment["PYTHONPATH"] = str(extra)
    done = subprocess.run(
        [python, *arguments], cwd=cwd, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def summary(binding: dict[str, Any]) -> str:
    """Return the binding as one line: its direction and type, then what else it says."""
    rest = {key: value for key, value in binding.items() if key not in {"direction", "type", "name"}}
    said = (f"{key}={','.join(value) if isinstance(value, list) else value}" for key, value in rest.items())
    return " ".join((binding["direction"], binding["type"], *said))


def test_requirements_pin_every_package_with_its_hash(unpacked: Path) -> None:
    text = (unpacked / "requirements.txt").read_text(encoding="utf-8")
    requirements = re.split(r"\n(?=\w)", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    assert len(requirements) > 10
    for requirement in requirements:
        assert re.match(r"[\w.-]+(\[\w+\])?==[\w.]+", requirement), requirement[:60]
        assert "--hash=sha256:" in requirement, requirement[:60]


def test_every_module_imports_with_what_is_pinned(clean_python: Path, unpacked: Path) -> None:
    modules = sorted(
        ".".join(path.relative_to(unpacked).with_suffix("").parts)
        for folder in ("functions", "shared")
        for path in (unpacked / folder).rglob("*.py")
        if path.name != "__init__.py"
    )
    assert len(modules) > 50
    run(clean_python, "-c", "\n".join(f"import {module}" for module in modules), cwd=unpacked)


def test_the_worker_finds_the_approved_functions(clean_python: Path, unpacked: Path, tmp_path: Path) -> None:
    packages = Path(sysconfig.get_path("purelib"))
    for name in WORKER:
        (tmp_path / name).symlink_to(packages / name)
    output = run(
        clean_python,
        Path(__file__).parent / "indexing.py",
        unpacked,
        ROOT / "emulators" / "functions_host" / "protos.py",
        cwd=tmp_path,
        extra=tmp_path,
    )
    found = {
        name: [summary(binding) for binding in bindings] for name, bindings in json.loads(output).items()
    }
    assert found == APPROVED


def test_indexing_reads_no_settings_and_loads_no_storage(clean_python: Path, unpacked: Path) -> None:
    program = "import sys, function_app; print([m for m in sys.modules if m.startswith('azure.storage')])"
    assert run(clean_python, "-c", program, cwd=unpacked).strip() == "[]"


def test_the_clean_environment_is_not_the_development_one(clean_python: Path, unpacked: Path) -> None:
    assert clean_python.parent != Path(sys.executable).parent
    program = (
        "import importlib.util as u; print([u.find_spec(n) for n in ('pytest', 'starlette', 'emulators')])"
    )
    assert run(clean_python, "-c", program, cwd=unpacked).strip() == "[None, None, None]"


def test_sizes_in_the_document_are_those_of_the_package(
    clean_python: Path, unpacked: Path, package: Path
) -> None:
    document = " ".join((ROOT / "docs" / "deploy.md").read_text(encoding="utf-8").split())
    said = re.search(r"tracked files: ([\d.]+) MB.* its hash: (\d+) packages, (\d+) MB", document)
    assert said is not None
    (libraries,) = clean_python.parent.parent.glob("lib/python*/site-packages")
    installed = sum(path.stat().st_size for path in libraries.rglob("*") if path.suffix != ".pyc")
    pinned = re.findall(
        r"^[\w.-]+==", (unpacked / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert float(said[1]) == pytest.approx(package.stat().st_size / 1e6, abs=0.1)
    assert int(said[2]) == len(pinned)
    assert int(said[3]) == pytest.approx(installed / 1e6, rel=0.25)
