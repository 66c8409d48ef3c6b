"""A caller of an emulated ACR that shares no code with the app."""

from __future__ import annotations

import re
from typing import Any

import requests

from emulators.acr import AcrEmulator

CLIENT_ID = "11111111-2222-3333-4444-555555555555"


class AcrCaller:
    """Calls one registry as one Entra identity, with exactly the scopes it is given."""

    def __init__(self, acr: AcrEmulator, http: requests.Session, client_id: str = CLIENT_ID) -> None:
        self.acr = acr
        self.http = http
        self.client_id = client_id

    def refresh_token(self) -> str:
        entra = self.acr.trusted_issuer.issue(self.client_id, "https://containerregistry.azure.net")
        form = {"grant_type": "access_token", "service": self.acr.login_server, "access_token": entra}
        answer = self.http.post(f"{self.acr.url}/oauth2/exchange", data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["refresh_token"])

    def access_token(self, *scopes: str) -> str:
        form = {
            "grant_type": "refresh_token",
            "service": self.acr.login_server,
            "scope": list(scopes),
            "refresh_token": self.refresh_token(),
        }
        answer = self.http.post(f"{self.acr.url}/oauth2/token", data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def call(self, method: str, path: str, *scopes: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.access_token(*scopes)}"} | options.pop("headers", {})
        return self.http.request(
            method, self.acr.url + path, headers=headers, allow_redirects=False, **options
        )


def as_admin(acr: AcrEmulator) -> tuple[str, str]:
    return acr.admin_username, acr.admin_password


def next_page(answer: requests.Response) -> str | None:
    """The path in a Link header, checked to be relative."""
    link = answer.headers.get("Link")
    if link is None:
        return None
    found = re.fullmatch(r'<(/[^>]*)>; rel="next"', link)
    assert found is not None, link
    return found[1]
