"""The app's functions with their bindings, as a process of its own indexes them: an app is indexed once."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

type Bindings = list[dict[str, str]]

_INDEX = """
import json
from function_app import app
found = {f.get_function_name(): json.loads(f.get_function_json())["bindings"] for f in app.get_functions()}
print(json.dumps(found))
"""


@cache
def functions() -> dict[str, Bindings]:
    """Return the bindings of each function by its name."""
    output = subprocess.run([sys.executable, "-c", _INDEX], cwd=ROOT, check=True, capture_output=True).stdout
    found: dict[str, Bindings] = json.loads(output)
    return found


def bindings() -> Bindings:
    """Return the bindings of all functions."""
    return [binding for found in functions().values() for binding in found]
