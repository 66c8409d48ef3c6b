"""The reader and the interpreter themselves: they find what they are there to find."""

from pathlib import Path
from typing import Any

import pytest

from tests.infra import bicep
from tests.infra.deployment import deploy


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(source: str) -> Path:
        path = tmp_path / f"file{len(list(tmp_path.iterdir()))}.bicep"
        path.write_text(source)
        return path

    return write


def outputs(path: Path, **parameters: Any) -> dict[str, Any]:
    return deploy(path, parameters).outputs


def test_what_is_not_bicep_is_refused(written: Any) -> None:
    with pytest.raises(AssertionError, match=r"file0\.bicep:2"):
        bicep.read(written("param a string\nvar b = = a\n"))


def test_names_that_nobody_declares_are_found(written: Any) -> None:
    file = bicep.read(
        written("param a array\nvar b = map(a, x => '${x}${y}')\nvar c = [for z in a: z]\noutput d int = z\n")
    )
    assert bicep.undeclared(file) == ["y", "z"]


def test_a_condition_decides_whether_a_resource_is_deployed(written: Any) -> None:
    source = "param on bool\nresource r 'A/b@2020-01-01' = if (on) {\n  name: 'x'\n}\n"
    for on in (True, False):
        assert len(deploy(written(source), {"on": on}).all("A/b")) == on


def test_reading_an_output_that_is_not_there_is_an_error(written: Any) -> None:
    written("output there string = 'a'\n")
    source = (
        "module m './file0.bicep' = {\n  name: 'm'\n  params: {}\n}\noutput o string = m.outputs.missing\n"
    )
    with pytest.raises(KeyError, match="missing"):
        outputs(written(source))


@pytest.mark.parametrize("given", [{}, {"a": 1}, {"a": "z"}, {"a": "x", "b": "y"}])
def test_parameters_missing_of_another_type_not_allowed_or_unknown_are_errors(
    written: Any, given: dict[str, Any]
) -> None:
    with pytest.raises(AssertionError):
        outputs(written("@allowed([\n  'x'\n])\nparam a string\noutput o string = a\n"), **given)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("yes ? 'a' : thing.name", "a"),
        ("!yes ? 'a' : thing.name", "thing"),
        ("thing.?missing ?? thing.name", "thing"),
        ("thing.?name ?? other.name", "thing"),
        ("'${thing.name}-it\\'s'", "thing-it's"),
        ("last(split('a/b', '/'))", "b"),
        ("string(toObject([thing], each => each.name, each => each))", '{"thing": {"name": "thing"}}'),
    ],
)
def test_expressions_mean_what_they_mean_in_bicep(written: Any, expression: str, value: str) -> None:
    source = f"param yes bool\nvar thing = {{\n  name: 'thing'\n}}\noutput o string = {expression}\n"
    assert outputs(written(source), yes=True)["o"] == value
