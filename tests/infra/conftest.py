from collections.abc import Callable
from typing import Any

import pytest

from tests.infra import bicep
from tests.infra.deployment import deploy
from tests.infra.values import Deployment

type Deploy = Callable[..., Deployment]


@pytest.fixture
def deployed() -> Deploy:
    """Deploy ``main.bicep`` with these parameters, on one existing registry unless told otherwise."""

    def run(**parameters: Any) -> Deployment:
        given = {
            "environmentName": "prod",
            "location": "westeurope",
            "registries": [{"name": "myreg", "resourceGroup": "rg-images"}],
        }
        return deploy(bicep.INFRA / "main.bicep", given | parameters)

    return run
