"""Removing what a person names: tags, manifests, repositories; shown first, and asked about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from cli.cleanable import client_to_clean
from cli.exits import DONE, FAILED, Failure, Unsupported
from cli.inventory import Item, inventory
from cli.listing import tags_of
from cli.output import Output
from cli.places import parse_place, parse_tagged
from cli.registries import Registries
from cli.remedies import remedy
from cli.sentences import in_words
from cli.words import count, size
from shared.errors import NotFound, StewardError
from shared.oci.names import Digest, Reference, TagName
from shared.registry.acr import AcrClient

_PAST: Final = {
    "untag": "untagged",
    "delete": "deleted",
    "lock": "locked",
    "unlock": "unlocked",
    "tag": "tagged",
}
_LISTING: Final = "steward manifests {}/{} lists what does"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one thing that was to be changed."""

    target: str
    result: str = "done"
    error: StewardError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "target": self.target,
            "result": self.result if self.error is None else "failed",
            "detail": "" if self.error is None else str(self.error),
        }


def attempt(target: str, act: Callable[[], bool | None]) -> Done:
    """Do it, and return what became of it; ``False`` means that there was nothing to do any more."""
    try:
        done = act()
    except StewardError as error:
        return Done(target=target, error=error)
    return Done(target=target, result="already_gone" if done is False else "done")


def untag(output: Output, registries: Registries, places: Sequence[str], *, yes: bool) -> int:
    """Remove tags, and leave what they point at."""
    references = list(dict.fromkeys(parse_tagged(place) for place in places))
    for reference in references:
        if registries.kind(reference.registry) == "oci":
            raise Unsupported(
                f"{reference.registry} offers no safe way to remove only a tag",
                hint="steward delete with a digest removes a manifest and every tag on it",
            )
    for reference in references:
        output.note(f"untag {reference}")
    output.confirm(f"Remove {count(len(references), 'tag')}? What they point at stays.", yes=yes)
    results = [attempt(str(reference), partial(_untag, registries, reference)) for reference in references]
    return report(output, "untag", results)


def _untag(registries: Registries, reference: Reference) -> bool:
    assert reference.tag is not None  # noqa: S101 - for the type checker
    client = registries.client(reference.registry)
    if isinstance(client, AcrClient):
        return client.untag(reference.repository, reference.tag)
    return registries.hub().delete_tag(reference.repository, reference.tag)


def delete(output: Output, registries: Registries, place: str, *, yes: bool, force: bool) -> int:
    """Remove what is named: a tag, a manifest with every tag on it, or a repository."""
    reference = parse_place(place)
    if reference.digest is not None:
        return _delete_manifest(output, registries, reference, reference.digest, yes=yes, force=force)
    if reference.tag is not None:
        return untag(output, registries, [place], yes=yes)
    return _delete_repository(output, registries, reference, yes=yes)


def _delete_manifest(
    output: Output,
    registries: Registries,
    reference: Reference,
    digest: Digest,
    *,
    yes: bool,
    force: bool,
) -> int:
    name = reference.repository
    repository = registries.client(reference.registry).repository(name)
    if repository.resolve(digest) is None:
        raise Failure(
            f"{reference} does not exist", hint=_LISTING.format(reference.registry, name), code=FAILED
        )
    if registries.kind(reference.registry) == "oci":
        tags = _tags_on(registries, reference, digest)
        referrers = [each.digest for each in repository.referrers(digest)]
        act = partial(repository.delete_manifest, digest)
    else:
        client = client_to_clean(registries, reference.registry, purpose="delete")
        items = {item.digest: item for item in inventory(client, name)}
        item = items.get(digest, Item(digest=digest))
        _refuse_to_break(item, items, force=force)
        tags = item.tags
        referrers = [other.digest for other in items.values() if other.subject == digest]
        act = partial(client.delete_manifest, name, digest)
    output.note(f"delete {reference}")
    for tag in tags:
        output.note(f"  with its tag {tag}")
    for referrer in referrers:
        output.note(f"  and {referrer}, which refers to it, may go with it")
    what = f"the manifest and {count(len(tags), 'tag')} on it" if tags else "the manifest"
    output.confirm(f"Delete {what}?", yes=yes)
    return report(output, "delete", [attempt(str(reference), act)])


def _refuse_to_break(item: Item, items: dict[Digest, Item], *, force: bool) -> None:
    """Refuse to take a child away from an index.

    :raises Failure: unless ``force``.
    """
    if item.held_by and not force:
        holder = items[item.held_by[0]]
        tagged = f", tagged {', '.join(holder.tags)}" if holder.tags else ""
        raise Failure(
            f"{item.digest} is listed by the index {holder.digest}{tagged}, which would break",
            hint="delete the index first, or add --force",
        )


def _tags_on(registries: Registries, reference: Reference, digest: Digest) -> list[str]:
    repository = registries.client(reference.registry).repository(reference.repository)
    found = []
    for each in tags_of(registries, reference):
        known: str | None = each.digest
        if known is None:
            resolved = repository.resolve(TagName(each.tag))
            known = None if resolved is None else resolved.digest
        if known == digest:
            found.append(each.tag)
    return found


def _delete_repository(output: Output, registries: Registries, reference: Reference, *, yes: bool) -> int:
    place = f"{reference.registry}/{reference.repository}"
    name = reference.repository
    kind = registries.kind(reference.registry)
    if kind == "oci":
        raise Unsupported(
            f"{reference.registry} offers no way to delete a repository",
            hint="steward manifests and steward delete remove manifest by manifest",
        )
    client = registries.client(reference.registry)
    if isinstance(client, AcrClient):
        about = client.repository_attributes(name)
        holds = f"{count(about.tag_count, 'tag')} and {count(about.manifest_count, 'manifest')}"
        output.note(f"delete {place} with {holds}")
        output.confirm_by_name("All of it goes, and nothing brings it back.", name, yes=yes)
        act = partial(client.delete_repository, name)
    else:
        hub = registries.hub()
        found = hub.find_repository(name)
        if found is None:
            raise NotFound(f"{place} does not exist, or is not yours to see", registry=reference.registry)
        tags = sum(1 for _ in hub.list_tags(name))
        output.note(f"delete {place} with {count(tags, 'tag')}, {size(found.size) or 'of unknown size'}")
        output.confirm_by_name("All of it goes, and nothing brings it back.", name, yes=yes)
        act = partial(hub.delete_repository, name)
    return report(output, "delete", [attempt(place, act)])


def report(output: Output, action: str, results: Sequence[Done]) -> int:
    """Print what became of each, and return the exit code."""
    if output.json:
        output.document({"action": action, "results": [done.to_json() for done in results]})
    said = ""
    for done in results:
        if done.error is not None:
            hint = remedy(done.error)
            output.fail(f"{done.target}: {in_words(done.error)}", "" if hint == said else hint)
            said = hint
        elif not output.json:
            word = _PAST.get(action, action) if done.result == "done" else done.result.replace("_", " ")
            output.say(f"{word}  {done.target}")
    return FAILED if any(done.error for done in results) else DONE
