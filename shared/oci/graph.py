"""What holds what: reachability, and an order in which deleting never breaks a parent.

Graphs here are of manifests only: nodes are digests, ``children`` are the manifests that an index
lists, ``subject`` is the manifest that a referrer points at.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from shared.oci.names import Digest


class Edges(NamedTuple):
    """What the body of one manifest says of other manifests."""

    children: tuple[Digest, ...] = ()
    subject: Digest | None = None


def referrers_by_subject(edges: Mapping[Digest, Edges]) -> dict[Digest, list[Digest]]:
    """Return the manifests that point at each subject, in no particular order."""
    found: dict[Digest, list[Digest]] = defaultdict(list)
    for digest, pointing in edges.items():
        if pointing.subject is not None:
            found[pointing.subject].append(digest)
    return dict(found)


def reachable(
    roots: Iterable[Digest],
    edges: Mapping[Digest, Edges],
    *,
    bound: Mapping[Digest, Sequence[Digest]] | None = None,
) -> dict[Digest, Digest | None]:
    """Return everything that the roots hold, each with the manifest that holds it (``None`` for a root).

    A manifest is held by an index that lists it, and a referrer is held by its subject: of a held
    image, the children, their children, their signatures, and the signatures of those are all held.
    A subject is *not* held by its referrer. ``bound`` adds manifests that follow another one for a
    reason outside the bodies, such as cosign's tag names.
    """
    referrers = referrers_by_subject(edges)
    held: dict[Digest, Digest | None] = dict.fromkeys(roots)
    pending = list(held)
    while pending:
        holder = pending.pop()
        below = [*edges[holder].children] if holder in edges else []
        below.extend(referrers.get(holder, ()))
        if bound is not None:
            below.extend(bound.get(holder, ()))
        for digest in below:
            if digest not in held:
                held[digest] = holder
                pending.append(digest)
    return held


def deletion_order(
    digests: Collection[Digest],
    edges: Mapping[Digest, Edges],
    *,
    bound: Mapping[Digest, Sequence[Digest]] | None = None,
) -> dict[Digest, tuple[Digest, ...]]:
    """Return the digests so that whatever holds a manifest comes before it, each with what holds it.

    Parents come before children and subjects before their referrers: stopped at any point, no index that
    is left lists a child that is gone, and no image that is left has lost its signature. Equal inputs give
    equal orders whatever the order of the collection. An index may list its own subject: then each holds
    the other, and the index comes first. Bodies name each other by hash, so children make no cycle; one
    that a hostile registry invents is cut at its smallest digest. What closes a circle is not named as a
    holder of what comes before it.
    """
    wanted = set(digests)
    held = held_by_each(wanted, edges, bound=bound)
    holders: dict[Digest, list[Digest]] = defaultdict(list)
    for digest, targets in held.items():
        for target in targets:
            holders[target].append(digest)
    waiting = {target: len(found) for target, found in holders.items()}
    level = sorted(digest for digest in wanted if digest not in waiting)
    ordered: dict[Digest, tuple[Digest, ...]] = dict.fromkeys(level, ())
    while len(ordered) < len(wanted):
        released = []
        for digest in level:
            if digest in held:
                for target in held[digest]:
                    waiting[target] -= 1
                    if not waiting[target] and target not in ordered:
                        released.append(target)
        level = sorted(released)
        if level:
            ordered.update((digest, tuple(sorted(holders[digest]))) for digest in level)
            continue
        level = _cut([digest for digest in waiting if digest not in ordered], edges)
        for digest in level:
            ordered[digest] = tuple(sorted(each for each in holders[digest] if each in ordered))
    return ordered


def _cut(circle: Collection[Digest], edges: Mapping[Digest, Edges]) -> list[Digest]:
    """Return what to take out of a circle first: what no index in it lists."""
    listed = {child for digest in circle if digest in edges for child in edges[digest].children}
    return sorted(digest for digest in circle if digest not in listed) or [min(circle)]


def held_by_each(
    digests: Collection[Digest],
    edges: Mapping[Digest, Edges],
    *,
    bound: Mapping[Digest, Sequence[Digest]] | None = None,
) -> dict[Digest, set[Digest]]:
    """Return what the digests hold of each other directly; those that hold nothing are left out."""
    wanted = set(digests)
    held: dict[Digest, set[Digest]] = defaultdict(set)
    for digest in wanted & edges.keys():
        children, subject = edges[digest]
        for child in children:
            if child in wanted and child != digest:
                held[digest].add(child)
        if subject in wanted and subject != digest:
            held[subject].add(digest)
    followers = bound or {}
    for digest in wanted & followers.keys():
        for follower in followers[digest]:
            if follower in wanted and follower != digest:
                held[digest].add(follower)
    return dict(held)
