"""Each file by itself, and how the files are wired: what a compiler would say first."""

import json
import re
from pathlib import Path

import pytest
from pycep import BicepParser

from tests.infra import bicep

each_file = pytest.mark.parametrize("path", bicep.FILES, ids=lambda path: path.stem)


def each_module() -> list[tuple[bicep.BicepFile, str]]:
    files = [bicep.read(path) for path in bicep.FILES]
    return [(file, symbol) for file in files for symbol in file.modules]


each_use_of_a_module = pytest.mark.parametrize(
    ("file", "symbol"), each_module(), ids=[f"{file.path.stem}-{symbol}" for file, symbol in each_module()]
)


def test_there_is_something_to_check() -> None:
    assert len(bicep.FILES) >= 12
    assert len(each_module()) >= 12


@each_file
def test_both_parsers_take_the_file(path: Path) -> None:
    file = bicep.read(path)
    tree = BicepParser().parse(text=path.read_text(encoding="utf-8"))
    assert set(tree.get("resources", {})) == set(file.resources)
    assert set(tree.get("modules", {})) == set(file.modules)
    assert set(tree.get("parameters", {})) == set(file.parameters)
    assert set(tree.get("outputs", {})) == set(file.outputs)


@each_file
def test_every_name_is_declared(path: Path) -> None:
    assert bicep.undeclared(bicep.read(path)) == []


@each_file
def test_every_declared_name_is_used(path: Path) -> None:
    file = bicep.read(path)
    existing = {name for name, resource in file.resources.items() if resource.existing}
    assert {*file.parameters, *file.variables, *existing} <= bicep.used(file)


@each_use_of_a_module
def test_a_module_gets_the_parameters_it_declares(file: bicep.BicepFile, symbol: str) -> None:
    module = bicep.read(file.module_path(symbol))
    body = bicep.body_object(file.modules[symbol].body)
    given = set(bicep.entries(bicep.entries(body)["params"]))
    required = {name for name, parameter in module.parameters.items() if parameter.default is None}
    assert given <= set(module.parameters)
    assert required <= given


def test_every_file_is_used() -> None:
    reached = {file.module_path(symbol) for file, symbol in each_module()}
    assert reached | {bicep.INFRA / "main.bicep"} == set(bicep.FILES)


@each_file
def test_a_type_has_one_api_version_everywhere(path: Path) -> None:
    versions: dict[str, set[str]] = {}
    for other in bicep.FILES:
        for resource in bicep.read(other).resources.values():
            type_, _, version = resource.what.partition("@")
            versions.setdefault(type_, set()).add(version)
    for resource in bicep.read(path).resources.values():
        assert len(versions[resource.type]) == 1, resource.type
        assert re.fullmatch(r"[\w./]+@\d{4}-\d\d-\d\d(-preview)?", resource.what)


def test_the_parameters_file_sets_only_what_the_template_takes() -> None:
    main = bicep.read(bicep.INFRA / "main.bicep")
    document = json.loads((bicep.INFRA / "main.parameters.json").read_text(encoding="utf-8"))
    given = document["parameters"]
    required = {name for name, parameter in main.parameters.items() if parameter.default is None}
    assert required <= given.keys() <= main.parameters.keys()
    for name, entry in given.items():
        variable = re.fullmatch(r"\$\{[A-Z_]+(?:=(?P<default>.*))?\}", entry["value"])
        assert variable, name
        default = main.parameters[name].default
        if default is None:
            assert variable["default"] is None
        else:
            assert variable["default"] == bicep.text(default).strip("'"), name


def test_every_abbreviation_is_used() -> None:
    abbreviations = json.loads((bicep.INFRA / "abbreviations.json").read_text(encoding="utf-8"))
    source = (bicep.INFRA / "main.bicep").read_text(encoding="utf-8")
    assert set(re.findall(r"\babbreviations\.(?!json)(\w+)", source)) == set(abbreviations)
