"""Locks, and tags put on manifests that are there."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

from cli.exits import FAILED, Failure
from cli.output import Output
from cli.places import parse_item, parse_place
from cli.registries import Registries
from cli.removing import Done, attempt, report
from cli.words import short
from shared.oci.names import TagName, parse_tag
from shared.registry.content import FetchedManifest
from shared.registry.repository import RepositoryClient

type Lockable = Literal["all", "delete", "write"]


def set_locks(
    output: Output, registries: Registries, places: Sequence[str], *, enabled: bool, only: Lockable
) -> int:
    """Allow or forbid deleting and overwriting of tags, manifests or repositories."""
    results = []
    for place in places:
        reference = parse_place(place)
        acr = registries.acr(reference.registry, purpose="be locked or unlocked")
        change = partial(
            acr.set_lock,
            reference.repository,
            reference.digest or reference.tag,
            delete_enabled=None if only == "write" else enabled,
            write_enabled=None if only == "delete" else enabled,
        )
        results.append(attempt(str(reference), change))
    return report(output, "unlock" if enabled else "lock", results)


def put_tags(output: Output, registries: Registries, place: str, tags: Sequence[str], *, yes: bool) -> int:
    """Put tags on what a reference is now; a tag that would move is asked about."""
    reference = parse_item(place)
    names = [parse_tag(tag) for tag in dict.fromkeys(tags)]
    repository = registries.client(reference.registry).repository(reference.repository)
    registries.client(reference.registry).expect([reference.repository], "pull", "push")
    wanted = reference.digest or reference.tag
    if wanted is None or repository.resolve(wanted) is None:
        hint = f"steward tags {reference.registry}/{reference.repository} lists what does"
        raise Failure(f"{reference} does not exist", hint=hint, code=FAILED)
    fetched = repository.fetch_manifest(wanted)
    digest = fetched.descriptor.digest
    results = []
    for name in names:
        target = f"{reference.registry}/{reference.repository}:{name}"
        present = repository.resolve(name)
        if present is not None and present.digest == digest:
            results.append(Done(target=target, result="already_there"))
            continue
        if present is not None:
            output.confirm(
                f"{target} points at {short(present.digest)}; move it to {short(digest)}?", yes=yes
            )
        results.append(attempt(target, partial(_put, repository, fetched, name)))
    return report(output, "tag", results)


def _put(repository: RepositoryClient, fetched: FetchedManifest, tag: TagName) -> None:
    repository.push_manifest(fetched.content, fetched.descriptor.media_type, tag=tag)
