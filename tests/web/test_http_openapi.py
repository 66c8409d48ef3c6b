"""The OpenAPI document describes just the functions that there are."""

import json
import re

from functions.openapi import DOCUMENT
from tests.web.doors import Doors, doors


def described() -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations}


def as_path(route: str) -> str:
    """Return a route as OpenAPI writes it; the overview's parameter is never there."""
    return "/" + re.sub(r"\{\*?(\w+)\}", r"{\1}", route.replace("{page:alpha?}", ""))


def test_every_function_is_described_and_nothing_else() -> None:
    served = {(method, as_path(door.template)) for door in doors() for method in door.methods}
    assert served == described()


def test_operations_have_the_names_of_functions_and_their_locks() -> None:
    operations = {
        operation["operationId"]: operation
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
    }
    assert set(operations) == {door.name for door in doors()}
    for door in doors():
        assert (operations[door.name].get("security") == []) == (door.level == "ANONYMOUS"), door.name


def test_the_document_is_served(api: Doors) -> None:
    assert api.json("openapi.json") == json.loads(json.dumps(DOCUMENT))
