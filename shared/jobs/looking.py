"""Looking at a repository once more: only what no earlier look has read is asked for."""

from collections.abc import Callable, Mapping
from datetime import datetime

from shared.errors import StewardError
from shared.jobs.cleaned import cleaned_registry, known_edges
from shared.jobs.pausing import Pause
from shared.jobs.reading_ahead import read_ahead
from shared.jobs.services import Services
from shared.oci.graph import Edges
from shared.oci.names import DOCKER_HUB, Digest
from shared.retention.snapshot import RepositorySnapshot
from shared.storage.runs import Part


def look_at(
    services: Services, part: Part, *, clock: Callable[[], datetime], deadline: datetime
) -> RepositorySnapshot | Pause:
    """Return the repository as it is now, or why that takes more than one invocation.

    What was read is remembered, also when this fails, so that the next look has less to read.

    :raises NotFound: when the repository does not exist.
    :raises StewardError: when it could not be read.
    """
    known = known_edges(services, part.registry, part.repository)
    registry = cleaned_registry(services, part.registry)

    def save(edges: Mapping[Digest, Edges]) -> None:
        services.edges.save(part.registry, part.repository, edges)

    if part.registry != DOCKER_HUB:  # replicas are smaller, and their sources' bodies are known
        pause = read_ahead(
            registry,
            part.repository,
            known,
            save=save,
            clock=clock,
            deadline=deadline,
            threads=services.settings.registry_threads,
        )
        if pause is not None:
            return pause
    read: dict[Digest, Edges] = {}
    try:
        snapshot = registry.snapshot(part.repository, edges_known=known, edges_read=read)
    except StewardError:
        if read:
            save(known | read)
        raise
    if snapshot.edges.keys() != known.keys():
        save(snapshot.edges)
    return snapshot
