from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidInput, StorageError
from shared.oci.manifest import digest_of
from shared.oci.names import (
    DOCKER_HUB,
    Reference,
    parse_login_server,
    parse_reference,
    parse_repository,
    parse_tag,
)
from shared.replication.replicas import Replica
from shared.storage.account import StorageAccount
from shared.storage.ledger import Ledger

NOW = datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
REPLICA = Replica(
    source=parse_reference("demo.azurecr.io/team/app:v1"),
    route="to-hub",
    digest=digest_of(b"copy"),
    source_digest=digest_of(b"original"),
    copied=NOW,
    pushed=NOW,
    created=None,
    platforms="linux/amd64,linux/arm64",
)
HUB_APP = parse_repository("acme/app")


def target(text: str) -> Reference:
    return parse_reference(f"docker.io/{text}")


@pytest.fixture
def ledger(account: StorageAccount, name: str) -> Callable[[], Ledger]:
    """Open the ledger as one instance of the app after the other would."""
    return lambda: Ledger(account.blobs, name)


def test_what_was_put_on_a_target_is_known_to_every_instance(ledger: Callable[[], Ledger]) -> None:
    ledger().record(target("acme/app:v1"), REPLICA)
    assert ledger().find(target("acme/app:v1")) == REPLICA
    assert ledger().find(target("acme/app:v2")) is None
    assert ledger().replicas(DOCKER_HUB, HUB_APP) == {"v1": REPLICA}


def test_the_last_word_on_a_tag_counts(ledger: Callable[[], Ledger]) -> None:
    later = replace(REPLICA, digest=digest_of(b"later"), platforms="", pushed=None)
    book = ledger()
    book.record(target("acme/app:v1"), REPLICA)
    book.record(target("acme/app:v1"), later)
    assert book.find(target("acme/app:v1")) == later


@pytest.mark.parametrize("tag", ["v1", "V1", "_", "a.", "latest.tag", "x" * 128])
def test_any_tag_is_kept_under_its_own_name(ledger: Callable[[], Ledger], tag: str) -> None:
    book = ledger()
    book.record(target(f"acme/app:{tag}"), REPLICA)
    book.record(target("acme/app:other"), REPLICA)
    assert set(book.replicas(DOCKER_HUB, HUB_APP)) == {tag, "other"}
    book.forget(target(f"acme/app:{tag}"))
    assert set(book.replicas(DOCKER_HUB, HUB_APP)) == {"other"}


def test_repositories_whose_names_begin_alike_are_kept_apart(ledger: Callable[[], Ledger]) -> None:
    other = parse_login_server("other.example")
    book = ledger()
    for name in ("a", "a/b", "a/b/c", "ab"):
        book.record(
            Reference(registry=other, repository=parse_repository(name), tag=parse_tag("v1")), REPLICA
        )
    assert set(book.replicas(other, parse_repository("a"))) == {"v1"}
    assert set(book.replicas(other, parse_repository("a/b"))) == {"v1"}
    assert book.replicas(other, parse_repository("b")) == {}


def test_forgetting_what_is_not_there_is_no_error(ledger: Callable[[], Ledger]) -> None:
    ledger().forget(target("acme/app:v1"))


def test_a_ledger_that_was_never_written_is_empty(ledger: Callable[[], Ledger]) -> None:
    book = ledger()
    assert book.find(target("acme/app:v1")) is None
    assert book.replicas(DOCKER_HUB, HUB_APP) == {}
    assert book.targets_of(REPLICA.source.registry, REPLICA.source.repository) == ()
    assert book.sources() == ()
    assert book.holder_of(DOCKER_HUB, REPLICA.digest) is None


def test_where_a_source_went_is_known_after_its_tags_are_gone(ledger: Callable[[], Ledger]) -> None:
    book = ledger()
    book.record(target("acme/app:v1"), REPLICA)
    book.record(target("acme/mirror:v1"), REPLICA)
    deeper = replace(REPLICA, source=parse_reference("demo.azurecr.io/team/app/deep:v1"))
    book.record(target("acme/deep:v1"), deeper)
    book.forget(target("acme/app:v1"))
    source = REPLICA.source
    assert set(ledger().targets_of(source.registry, source.repository)) == {
        (DOCKER_HUB, "acme/app"),
        (DOCKER_HUB, "acme/mirror"),
    }
    assert set(ledger().sources()) == {
        ("demo.azurecr.io", "team/app"),
        ("demo.azurecr.io", "team/app/deep"),
    }


def test_an_entry_that_is_damaged_claims_nothing(
    ledger: Callable[[], Ledger], account: StorageAccount, name: str
) -> None:
    book = ledger()
    book.record(target("acme/app:v1"), REPLICA)
    blob = account.blobs.get_blob_client(name, "ledger/tags/docker.io/acme/app/_/v1.tag")
    blob.set_blob_metadata({"source": "demo.azurecr.io/team/app:v1", "digest": "sha256:short"})
    assert book.find(target("acme/app:v1")) is None
    assert book.replicas(DOCKER_HUB, HUB_APP) == {}


def test_a_repository_that_holds_a_blob_is_known_to_every_instance(ledger: Callable[[], Ledger]) -> None:
    digest = digest_of(b"layer")
    book = ledger()
    assert book.holder_of(DOCKER_HUB, digest) is None
    book.record_blobs(DOCKER_HUB, HUB_APP, [digest])
    assert ledger().holder_of(DOCKER_HUB, digest) == HUB_APP
    assert ledger().holder_of(parse_login_server("ghcr.io"), digest) is None
    moved = parse_repository("acme/moved")
    book.record_blobs(DOCKER_HUB, moved, [digest])
    assert book.holder_of(DOCKER_HUB, digest) == moved
    assert ledger().holder_of(DOCKER_HUB, digest) == moved


def test_storage_that_fails_costs_a_mount_and_no_copy(account: StorageAccount) -> None:
    broken = Ledger(account.blobs, "no such container!")
    broken.record_blobs(DOCKER_HUB, HUB_APP, [digest_of(b"x")])
    assert broken.holder_of(DOCKER_HUB, digest_of(b"y")) is None
    with pytest.raises(StorageError):
        broken.record(target("acme/app:v1"), REPLICA)


moments = st.datetimes(timezones=st.just(UTC))
digests = st.binary(max_size=8).map(digest_of)


@given(
    st.builds(
        Replica,
        source=st.just(REPLICA.source),
        route=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
        digest=digests,
        source_digest=digests,
        copied=moments,
        pushed=st.none() | moments,
        created=st.none() | moments,
        platforms=st.sampled_from(["", "linux/amd64", "linux/arm/v7,linux/amd64"]),
    )
)
def test_a_replica_survives_its_stored_form(replica: Replica) -> None:
    fields = replica.to_fields()
    assert Replica.from_fields(fields) == replica
    assert all(value and value.isascii() and value.isprintable() for value in fields.values())


@pytest.mark.parametrize("missing", ["source", "route", "digest", "source_digest", "copied"])
def test_a_stored_form_with_a_hole_is_no_replica(missing: str) -> None:
    fields = {key: value for key, value in REPLICA.to_fields().items() if key != missing}
    with pytest.raises(InvalidInput, match=missing):
        Replica.from_fields(fields)
