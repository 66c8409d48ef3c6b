import gzip
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.oci.graph import Edges
from shared.oci.names import Digest, LoginServer, RepositoryName
from shared.storage.account import StorageAccount
from shared.storage.edges import EdgeStore

REGISTRY, REPOSITORY = LoginServer("demo.azurecr.io"), RepositoryName("team/app")
digests = st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda text: Digest(f"sha256:{text}"))
edges = st.dictionaries(
    digests, st.builds(Edges, st.lists(digests, max_size=3).map(tuple), st.none() | digests), max_size=5
)


def test_nothing_is_remembered_of_a_repository_that_was_never_read(
    account: StorageAccount, name: str
) -> None:
    assert EdgeStore(account.blobs, name).load(REGISTRY, REPOSITORY) == {}


@given(known=edges)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_saved_is_loaded(account: StorageAccount, name: str, known: dict[Digest, Edges]) -> None:
    store = EdgeStore(account.blobs, name)
    store.save(REGISTRY, REPOSITORY, known)
    assert store.load(REGISTRY, REPOSITORY) == known
    assert store.load(REGISTRY, RepositoryName("team")) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"not gzip",
        gzip.compress(b'["sha256:' + b"0" * 64)[:-9],
        gzip.compress(b"not JSON"),
        gzip.compress(b'["latest", [], null]'),
        gzip.compress(b'["sha256:' + b"0" * 64 + b'", null, null]'),
        gzip.compress(b"[1]"),
    ],
    ids=["not gzip", "cut short", "not JSON", "no digest", "no children", "too few"],
)
def test_a_damaged_memory_is_no_memory(
    account: StorageAccount, name: str, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store = EdgeStore(account.blobs, name)
    store.save(REGISTRY, REPOSITORY, {})
    account.blobs.get_blob_client(name, f"edges/{REGISTRY}/{REPOSITORY}.jsonl.gz").upload_blob(
        content, overwrite=True
    )
    with caplog.at_level(logging.WARNING, logger="steward.edges"):
        assert store.load(REGISTRY, REPOSITORY) == {}
    assert len(caplog.records) == 1
