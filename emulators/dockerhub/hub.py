"""What the auth service, the Hub API and the registry of the emulator share."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from emulators.dockerhub.accounts import Accounts
from emulators.dockerhub.catalogue import HubCatalogue
from emulators.dockerhub.tokens import TokenIssuer


@dataclass(frozen=True, kw_only=True, slots=True)
class Hub:
    """One Docker Hub: who may enter, what it holds, and the tokens of its two doors."""

    accounts: Accounts
    catalogue: HubCatalogue
    registry_tokens: TokenIssuer
    api_tokens: TokenIssuer
    page_cap: int
    clock: Callable[[], datetime]


def user_id(username: str) -> int:
    """Return a stable number for a user name, as the API reports creators."""
    return zlib.crc32(username.encode())


def timestamp(moment: datetime | None) -> str | None:
    """RFC 3339 with microseconds and ``Z``, as the API writes every time."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
