import hashlib
import os
from pathlib import Path

import pytest
from azure.storage.blob import BlobClient

from emulators.azurite import Azurite
from shared.errors import InvalidPolicy, StorageError
from shared.storage.account import StorageAccount
from shared.storage.policy_source import BlobPolicySource, FilePolicySource
from tests.storage.conftest import Connect
from tests.storage.relay import Relay

FIRST = b"version: 1 # first\n"
SECOND = b"version: 1 # other\n"  # of the same length: a change of size must not be what is noticed
INVALID = b"version: 99\n"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_bytes(FIRST)
    return path


@pytest.fixture
def blob(account: StorageAccount, name: str) -> BlobClient:
    account.blobs.create_container(name)
    blob = account.blobs.get_blob_client(name, "policies/steward.yaml")
    blob.upload_blob(FIRST)
    return blob


# A file


def test_a_file_that_did_not_change_is_parsed_once(path: Path) -> None:
    source = FilePolicySource(path)
    first = source.current()
    assert first.digest == digest(FIRST)
    assert source.current() is first


def test_a_file_that_changed_is_read_again(path: Path) -> None:
    source = FilePolicySource(path)
    before = path.stat().st_mtime_ns
    assert source.current().digest == digest(FIRST)
    path.write_bytes(SECOND)
    os.utime(path, ns=(before + 1, before + 1))
    assert source.current().digest == digest(SECOND)


def test_a_file_that_shrank_within_the_clock_s_grain_is_read_again(path: Path) -> None:
    source = FilePolicySource(path)
    before = path.stat().st_mtime_ns
    source.current()
    path.write_bytes(b"version: 1")
    os.utime(path, ns=(before, before))
    assert source.current().digest == digest(b"version: 1")


def test_a_file_that_became_invalid_is_not_replaced_by_what_it_was(path: Path) -> None:
    source = FilePolicySource(path)
    source.current()
    path.write_bytes(INVALID)
    for _ in range(2):
        with pytest.raises(InvalidPolicy) as caught:
            source.current()
        assert str(path) in str(caught.value)
    path.write_bytes(FIRST)
    assert source.current().digest == digest(FIRST)


def test_a_missing_file_is_an_error_naming_it(path: Path) -> None:
    source = FilePolicySource(path)
    source.current()
    path.unlink()
    with pytest.raises(StorageError) as caught:
        source.current()
    assert str(caught.value) == f"reading the policy file {path}: No such file or directory"
    assert not caught.value.temporary


def test_a_folder_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"^reading the policy file .*: Is a directory$"):
        FilePolicySource(tmp_path).current()


# A blob


def test_a_blob_that_did_not_change_costs_one_request_and_no_parsing(
    azurite: Azurite, connect: Connect, blob: BlobClient
) -> None:
    with Relay(azurite.connection_string) as relay:
        service = connect(relay.connection_string).blobs
        source = BlobPolicySource(service, f"{blob.container_name}/{blob.blob_name}")
        first = source.current()
        assert first.digest == digest(FIRST)
        assert source.current() is first
        assert source.current() is first
        assert relay.statuses("GET") in ([200, 304, 304], [206, 304, 304])
        assert len(relay.requests) == 3


def test_a_blob_that_changed_is_read_again(account: StorageAccount, blob: BlobClient) -> None:
    source = BlobPolicySource(account.blobs, f"{blob.container_name}/{blob.blob_name}")
    assert source.current().digest == digest(FIRST)
    blob.upload_blob(SECOND, overwrite=True)
    second = source.current()
    assert second.digest == digest(SECOND)
    assert source.current() is second


def test_a_blob_that_became_invalid_is_not_replaced_by_what_it_was(
    account: StorageAccount, blob: BlobClient
) -> None:
    place = f"{blob.container_name}/{blob.blob_name}"
    source = BlobPolicySource(account.blobs, place)
    source.current()
    blob.upload_blob(INVALID, overwrite=True)
    for _ in range(2):
        with pytest.raises(InvalidPolicy) as caught:
            source.current()
        assert place in str(caught.value)
    blob.upload_blob(FIRST, overwrite=True)
    assert source.current().digest == digest(FIRST)


def test_an_empty_blob_is_an_invalid_policy(account: StorageAccount, blob: BlobClient) -> None:
    blob.upload_blob(b"", overwrite=True)
    with pytest.raises(InvalidPolicy):
        BlobPolicySource(account.blobs, f"{blob.container_name}/{blob.blob_name}").current()


def test_a_missing_blob_is_an_error_naming_it_even_after_it_was_read(
    account: StorageAccount, blob: BlobClient, name: str
) -> None:
    place = f"{blob.container_name}/{blob.blob_name}"
    source = BlobPolicySource(account.blobs, place)
    source.current()
    blob.delete_blob()
    with pytest.raises(StorageError) as caught:
        source.current()
    assert str(caught.value) == f"the policy blob {place} does not exist"
    assert not caught.value.temporary
    elsewhere = BlobPolicySource(account.blobs, f"{name}-missing/policy.yaml")
    with pytest.raises(StorageError, match=rf"^the policy blob {name}-missing/policy\.yaml does not exist$"):
        elsewhere.current()


@pytest.mark.parametrize("place", ["", "policy.yaml", "/policy.yaml", "config/"])
def test_a_place_is_a_container_and_a_name(account: StorageAccount, place: str) -> None:
    with pytest.raises(StorageError, match=r": expected container/name$"):
        BlobPolicySource(account.blobs, place)
