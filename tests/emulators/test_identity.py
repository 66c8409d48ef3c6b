from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError, DefaultAzureCredential, ManagedIdentityCredential

from emulators.identity import IdentityEmulator

SCOPE = "https://containerregistry.azure.net/.default"
OTHER = "22222222-2222-2222-2222-222222222222"


@pytest.fixture
def identity() -> Iterator[IdentityEmulator]:
    with IdentityEmulator(other_client_ids=[OTHER]) as emulator:
        yield emulator


@pytest.fixture
def environment(identity: IdentityEmulator, monkeypatch: pytest.MonkeyPatch) -> IdentityEmulator:
    for name, value in identity.env().items():
        monkeypatch.setenv(name, value)
    return identity


def _claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def test_a_managed_identity_credential_gets_a_token_of_its_client_id(environment: IdentityEmulator) -> None:
    with ManagedIdentityCredential(client_id=OTHER) as credential:
        token = credential.get_token(SCOPE)

    claims = environment.issuer.verify(token.token, "https://containerregistry.azure.net")
    assert claims["appid"] == OTHER
    assert abs(claims["exp"] - token.expires_on) <= 2


def test_the_default_credential_finds_the_identity_by_its_environment(environment: IdentityEmulator) -> None:
    with DefaultAzureCredential() as credential:
        token = credential.get_token(SCOPE)

    assert _claims(token.token)["appid"] == environment.client_id
    assert environment.traffic.count("GET", "/msi/token", status=200) == 1


def test_a_token_is_asked_for_once_while_it_is_good(environment: IdentityEmulator) -> None:
    with ManagedIdentityCredential(client_id=OTHER) as credential:
        tokens = {credential.get_token(SCOPE).token for _ in range(3)}

    assert len(tokens) == 1
    assert environment.traffic.count() == 1


@pytest.mark.usefixtures("environment")
def test_a_client_id_that_is_not_assigned_is_refused() -> None:
    with (
        ManagedIdentityCredential(client_id="33333333-3333-3333-3333-333333333333") as credential,
        pytest.raises((ClientAuthenticationError, CredentialUnavailableError)),
    ):
        credential.get_token(SCOPE)


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, {}, 401),
        ({"X-IDENTITY-HEADER": "guess"}, {}, 401),
        ({"X-IDENTITY-HEADER": "{header}"}, {}, 200),
        ({"X-IDENTITY-HEADER": "{header}"}, {"client_id": "unknown"}, 400),
        ({"X-IDENTITY-HEADER": "{header}"}, {"client_id": ""}, 400),
        ({"X-IDENTITY-HEADER": "{header}"}, {"resource": ""}, 400),
        ({"X-IDENTITY-HEADER": "{header}"}, {"api-version": "2017-09-01"}, 400),
    ],
)
def test_a_request_needs_the_header_the_version_and_a_known_client_id(
    identity: IdentityEmulator, headers: dict[str, str], query: dict[str, str], status: int
) -> None:
    asked = {
        "api-version": "2019-08-01",
        "resource": "https://containerregistry.azure.net",
        "client_id": identity.client_id,
    }

    answer = requests.get(
        identity.endpoint,
        params=asked | query,
        headers={name: value.format(header=identity.header) for name, value in headers.items()},
        timeout=10,
    )

    assert answer.status_code == status
    if status == 200:
        assert answer.json().keys() >= {"access_token", "expires_on", "resource", "token_type"}
        assert answer.json()["expires_on"].isdigit()
