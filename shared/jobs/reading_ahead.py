"""Bodies read ahead of a snapshot: in a large repository, over as many invocations as that takes.

A snapshot is whole or it is none, and it reads every body that no run has read before. At the pace that
Azure allows one identity, 100,000 bodies take twenty minutes (ACR, "Service tiers: throttling"); what stops
a snapshot then would stop the next one, too. What is read here is remembered, so it can stop at any moment.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from itertools import batched
from typing import Final

from shared.errors import InvalidManifest, RateLimited, RegistryError
from shared.jobs.applying import Pause, pause_of
from shared.jobs.cleaned import CleanedRegistry
from shared.oci.graph import Edges
from shared.oci.media_types import may_point_at_manifests
from shared.oci.names import Digest, RepositoryName
from shared.registry.counting import worker_pool
from shared.retention.snapshot import ManifestRecord

MANY: Final = 5000
"""How many bodies a snapshot may have to read by itself: about a minute's worth."""

_BATCH: Final = 500
_SAVE_SECONDS: Final = 60.0

type _Body = Edges | RegistryError | InvalidManifest


def read_ahead(
    registry: CleanedRegistry,
    repository: RepositoryName,
    known: dict[Digest, Edges],
    *,
    save: Callable[[Mapping[Digest, Edges]], None],
    clock: Callable[[], datetime],
    deadline: datetime,
    threads: int,
) -> Pause | None:
    """Add to ``known`` what bodies say, where many are to be read; ``None`` when few are left.

    They are saved once a minute and at the end. A body that cannot be read or understood is left to the
    snapshot, which says so.

    :raises RegistryError: of a temporary kind; what was read until then is saved.
    """
    if registry.repository_attributes(repository).manifest_count - len(known) <= MANY:
        return None
    unread = [
        record
        for record, _ in registry.list_manifest_records(repository)
        if record.digest not in known and may_point_at_manifests(record.media_type)
    ]
    if len(unread) <= MANY:
        return None
    saved = time.monotonic()
    try:
        with worker_pool(threads, "bodies") as pool:
            for batch in batched(unread, _BATCH, strict=False):
                if clock() >= deadline:
                    return Pause(reason="the invocation's time is used up")
                refused = _take(known, batch, pool.map(partial(_read, registry, repository), batch))
                if refused is not None:
                    return pause_of(refused)
                if time.monotonic() - saved >= _SAVE_SECONDS:
                    save(known)
                    saved = time.monotonic()
    finally:
        save(known)
    return None


def _read(registry: CleanedRegistry, repository: RepositoryName, record: ManifestRecord) -> _Body:
    try:
        return registry.read_edges(repository, record)
    except (RegistryError, InvalidManifest) as error:
        return error


def _take(
    known: dict[Digest, Edges], records: Iterable[ManifestRecord], bodies: Iterable[_Body]
) -> RateLimited | None:
    """Remember what could be read, all of it, and return the registry's wish to be asked later, if any."""
    failures: list[RegistryError] = []
    for record, body in zip(records, bodies, strict=True):
        if isinstance(body, Edges):
            known[record.digest] = body
        elif isinstance(body, RegistryError) and body.temporary:
            failures.append(body)
    refused = next((each for each in failures if isinstance(each, RateLimited)), None)
    if failures and refused is None:
        raise failures[0]
    return refused
