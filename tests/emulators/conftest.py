from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from emulators.acr import AcrEmulator
from emulators.certificates import CertificateAuthority


@pytest.fixture(scope="session")
def ca() -> Iterator[CertificateAuthority]:
    with CertificateAuthority() as authority:
        yield authority


@pytest.fixture
def http(ca: CertificateAuthority) -> Iterator[requests.Session]:
    """A session that trusts the emulators and nobody else."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(ca.ca_file)
        yield session


@pytest.fixture
def start_acr(ca: CertificateAuthority) -> Iterator[Callable[..., AcrEmulator]]:
    """Starts registries with any options and stops them after the test."""
    with ExitStack() as running:

        def start(**options: Any) -> AcrEmulator:
            return running.enter_context(AcrEmulator(ca=ca, **options))

        yield start


@pytest.fixture
def acr(start_acr: Callable[..., AcrEmulator]) -> AcrEmulator:
    return start_acr()


class TurnedClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()
