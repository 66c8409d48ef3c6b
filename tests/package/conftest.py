import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build(output: Path) -> None:
    script = ROOT / "scripts" / "package.py"
    subprocess.run([sys.executable, script, output], check=True, stdout=subprocess.PIPE)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the deployment package, built as for a deployment."""
    output = tmp_path_factory.mktemp("package") / "steward.zip"
    build(output)
    return output


@pytest.fixture(scope="session")
def unpacked(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def clean_python(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment that has what the package's requirements.txt names."""
    folder = tmp_path_factory.mktemp("clean")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, folder], check=True)
    python = folder / "bin" / "python"
    requirements = ["--require-hashes", "--requirement", str(unpacked / "requirements.txt")]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *requirements], check=True)
    return python
