from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests

from emulators.acr import AcrEmulator
from emulators.entra import EntraIssuer, InvalidEntraTokenError
from emulators.registry.images import build_image
from tests.emulators.acr_caller import CLIENT_ID, AcrCaller, as_admin
from tests.emulators.conftest import TurnedClock

AUDIENCE = "https://containerregistry.azure.net"


def claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def exchange(acr: AcrEmulator, http: requests.Session, **form: str) -> requests.Response:
    default = {"grant_type": "access_token", "service": acr.login_server}
    return http.post(f"{acr.url}/oauth2/exchange?api-version=2021-07-01", data=default | form)


def token(acr: AcrEmulator, http: requests.Session, **form: str) -> requests.Response:
    return http.post(f"{acr.url}/oauth2/token", data={"service": acr.login_server} | form)


def test_tokens_say_who_what_and_until_when(acr: AcrEmulator, http: requests.Session) -> None:
    acr.grant(CLIENT_ID, "AcrPull")
    caller = AcrCaller(acr, http)
    refresh = claims(caller.refresh_token())
    assert (refresh["aud"], refresh["iss"]) == (acr.login_server, "Azure Container Registry")
    assert refresh["exp"] - refresh["iat"] == 10_800
    assert refresh["grant_type"] == "refresh_token"
    access = claims(caller.access_token("repository:app:metadata_read,pull,delete registry:catalog:*"))
    assert access["exp"] - access["iat"] == 4500
    assert access["access"] == [
        {"type": "repository", "name": "app", "actions": ["metadata_read", "pull"]},
        {"type": "registry", "name": "catalog", "actions": ["*"]},
    ]


def test_scopes_may_be_repeated_and_a_stranger_gets_an_empty_token(
    acr: AcrEmulator, http: requests.Session
) -> None:
    acr.grant(CLIENT_ID, "AcrPull")
    access = claims(AcrCaller(acr, http).access_token("repository:a:pull", "repository:b:*"))
    assert [entry["name"] for entry in access["access"]] == ["a", "b"]
    stranger = AcrCaller(acr, http, client_id="99999999-0000-0000-0000-000000000000")
    assert claims(stranger.access_token("repository:a:pull"))["access"] == []


@pytest.mark.parametrize("audience", [AUDIENCE, "https://management.azure.com/.default"])
def test_tokens_for_the_registry_and_for_arm_are_exchanged(
    acr: AcrEmulator, http: requests.Session, audience: str
) -> None:
    entra = acr.trusted_issuer.issue(CLIENT_ID, audience)
    assert exchange(acr, http, access_token=entra).status_code == 200


def test_a_registry_may_refuse_arm_tokens(
    start_acr: Callable[..., AcrEmulator], http: requests.Session
) -> None:
    acr = start_acr(accept_arm_audience=False)
    entra = acr.trusted_issuer.issue(CLIENT_ID, "https://management.azure.com")
    assert exchange(acr, http, access_token=entra).status_code == 401


def test_what_is_not_to_be_exchanged_is_refused(acr: AcrEmulator, http: requests.Session) -> None:
    good = acr.trusted_issuer.issue(CLIENT_ID, AUDIENCE)
    strangers = EntraIssuer().issue(CLIENT_ID, AUDIENCE)
    vault = acr.trusted_issuer.issue(CLIENT_ID, "https://vault.azure.net")
    late = acr.trusted_issuer.issue(CLIENT_ID, AUDIENCE, lifetime=-1)
    for entra in (strangers, vault, late, "", "x.y.z"):
        answer = exchange(acr, http, access_token=entra)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")
    assert exchange(acr, http, access_token=good, service="other.azurecr.io").status_code == 401
    assert exchange(acr, http, access_token=good, grant_type="password").status_code == 400
    assert http.get(f"{acr.url}/oauth2/exchange").status_code == 405


def test_the_issuer_reads_back_what_it_issued() -> None:
    issuer = EntraIssuer()
    found = issuer.verify(issuer.issue(CLIENT_ID, f"{AUDIENCE}/.default"), AUDIENCE)
    assert found["appid"] == CLIENT_ID
    with pytest.raises(InvalidEntraTokenError):
        issuer.verify(issuer.issue(CLIENT_ID, AUDIENCE), ["https://vault.azure.net"])


def test_the_admin_and_the_null_user_sign_in_by_basic(acr: AcrEmulator, http: requests.Session) -> None:
    build_image().push_to(acr.state, "app", tag="v1")
    acr.grant(CLIENT_ID, "AcrPull")
    null = "00000000-0000-0000-0000-000000000000"
    query = {"service": acr.login_server, "scope": "repository:app:pull,delete"}
    for pair, actions in [
        (as_admin(acr), ["delete", "pull"]),
        ((acr.admin_username, acr.admin_password2), ["delete", "pull"]),
        ((null, AcrCaller(acr, http).refresh_token()), ["pull"]),
    ]:
        answer = http.get(f"{acr.url}/oauth2/token", params=query, auth=pair)
        access = answer.json()["access_token"]
        assert claims(access)["access"][0]["actions"] == actions
        headers = {"Authorization": f"Bearer {access}"}
        assert http.get(f"{acr.url}/v2/app/manifests/v1", headers=headers).status_code == 200
    for pair in [(acr.admin_username, "wrong"), (null, "wrong"), ("nobody", acr.admin_password)]:
        assert http.get(f"{acr.url}/oauth2/token", params=query, auth=pair).status_code == 401


def test_docker_may_send_its_password_in_a_form(acr: AcrEmulator, http: requests.Session) -> None:
    form = {"grant_type": "password", "username": acr.admin_username, "scope": "repository:a:pull"}
    assert token(acr, http, password=acr.admin_password, **form).status_code == 200
    assert token(acr, http, password="wrong", **form).status_code == 401


def test_anonymous_pull_is_off_until_it_is_allowed(
    acr: AcrEmulator, start_acr: Callable[..., AcrEmulator], http: requests.Session
) -> None:
    form = {"grant_type": "password", "scope": "repository:app:pull,push,metadata_read"}
    assert token(acr, http, **form).status_code == 401
    assert http.get(f"{acr.url}/oauth2/token").status_code == 401
    public = start_acr(anonymous_pull=True)
    access = token(public, http, **form).json()["access_token"]
    assert claims(access)["access"][0]["actions"] == ["metadata_read", "pull"]
    headers = {"Authorization": f"Bearer {access}"}
    refused = http.put(f"{public.url}/v2/app/manifests/v1", headers=headers)
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]


def test_tokens_end_when_they_say(
    start_acr: Callable[..., AcrEmulator], http: requests.Session, clock: TurnedClock
) -> None:
    acr = start_acr(clock=clock, access_token_lifetime=100, refresh_token_lifetime=200)
    build_image().push_to(acr.state, "app", tag="v1")
    access = acr.tokens.access_token("admin", ["repository:app:pull"])
    refresh = acr.tokens.refresh_token("admin", tenant="t")
    headers = {"Authorization": f"Bearer {access}"}
    clock.turn(99)
    assert http.get(f"{acr.url}/v2/app/manifests/v1", headers=headers).status_code == 200
    clock.turn(1)
    late = http.get(f"{acr.url}/v2/app/manifests/v1", headers=headers)
    assert 'error="invalid_token"' in late.headers["WWW-Authenticate"]
    form = {"grant_type": "refresh_token", "refresh_token": refresh}
    assert token(acr, http, **form).status_code == 200
    clock.turn(100)
    assert token(acr, http, **form).status_code == 401


def test_an_access_token_is_not_a_refresh_token_nor_the_reverse(
    acr: AcrEmulator, http: requests.Session
) -> None:
    access = acr.tokens.access_token("admin", [])
    refresh = acr.tokens.refresh_token("admin", tenant="t")
    assert token(acr, http, grant_type="refresh_token", refresh_token=access).status_code == 401
    assert http.get(f"{acr.url}/v2/", headers={"Authorization": f"Bearer {refresh}"}).status_code == 401
