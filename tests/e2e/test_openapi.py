"""The running app against its own OpenAPI document: schemathesis asks what the document allows, and more."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from emulators.registry.images import build_image
from functions.openapi import DOCUMENT
from tests.e2e.world import World, days_ago, retention, world

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
]
OPERATIONS = [
    (method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations
]


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("openapi")
    with world(folder, policy=retention("e2e/described")) as started:
        build_image().push_to(started.state, "e2e/described", tag="pr-1", at=days_ago(40))
        yield started


@pytest.fixture(scope="module")
def document(steward: World) -> Any:
    described = steward.get("openapi.json")
    loaded = schemathesis.openapi.from_dict(json.loads(json.dumps(described)))
    loaded.config.update(base_url=f"{steward.host.url}/api")
    return loaded


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@settings(max_examples=8, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_app_does_what_its_document_says(
    document: Any, steward: World, method: str, path: str, data: st.DataObject
) -> None:
    operation = document[path][method]
    mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
    try:
        case = data.draw(operation.as_strategy(generation_mode=mode))
    except Unsatisfiable:
        return  # nothing can be wrong about a request that has nothing in it
    headers = {"x-functions-key": steward.host.function_key}
    answer = case.call(headers=headers, timeout=30)
    if answer.status_code == HTTPStatus.NOT_FOUND and answer.text == "Not Found":
        return  # the host's own answer: a line break in the path matches no route, and no function ran
    case.validate_response(answer, checks=CHECKS, headers=headers)


def test_answers_about_what_there_is_are_as_described(steward: World) -> None:
    """Names that schemathesis makes up are of nothing; these are of something."""
    described = schemathesis.openapi.from_dict(steward.get("openapi.json") or {})
    run = steward.night()["run"]
    place = {"registry": steward.stack.acr.login_server, "repository": "e2e/described"}
    asked = [
        ("/runs/{run}", {"run": run}),
        ("/runs/{run}/repositories", {"run": run}),
        ("/runs/{run}/repositories/{registry}/{repository}", {"run": run, **place}),
        ("/plans/{registry}/{repository}", place),
    ]
    for path, names in asked:
        operation = described[path]["GET"]
        answer = steward.answer(path.lstrip("/").format(**names))
        assert answer.status_code == 200, answer.text
        operation.validate_response(answer)
