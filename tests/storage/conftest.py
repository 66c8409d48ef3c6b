from collections.abc import Callable, Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest

from emulators.azurite import Azurite
from shared.settings import load_settings
from shared.storage.account import StorageAccount
from tests.environments import on_a_laptop

type Connect = Callable[[str], StorageAccount]


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with Azurite() as server:
        yield server


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Open an account by its connection string; it is closed when the test ends."""
    with ExitStack() as stack:

        def opened(connection_string: str) -> StorageAccount:
            account = StorageAccount(load_settings(on_a_laptop(StewardStorage=connection_string)))
            stack.callback(account.close)
            return account

        yield opened


@pytest.fixture
def account(azurite: Azurite, connect: Connect) -> StorageAccount:
    return connect(azurite.connection_string)


@pytest.fixture
def name() -> str:
    """A name that no other test's queue or container has."""
    return f"test-{uuid4().hex[:12]}"
