"""What holds what in one repository, and how far that reaches."""

from collections import deque
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from shared.oci.graph import Edges, referrers_by_subject
from shared.oci.names import Digest
from shared.retention.reasons import Because


class Hold(NamedTuple):
    """That one manifest keeps another, and in what way."""

    holder: Digest
    how: Because


class Holdings:
    """The relations between the manifests of a repository, seen from the manifest that holds.

    An index holds what it lists; a manifest holds what refers to it, by its subject or by a bound tag.
    ``edges`` has only those that point at something.
    """

    def __init__(self, edges: Mapping[Digest, Edges], followers: Mapping[Digest, Sequence[Digest]]) -> None:
        self.edges = {
            digest: pointing
            for digest, pointing in edges.items()
            if pointing.children or pointing.subject is not None
        }
        self._followers = followers
        self._referrers = referrers_by_subject(self.edges)

    def concerns(self, digest: Digest) -> bool:
        """Tell whether the manifest holds anything or is tied to its subject."""
        return digest in self.edges or digest in self._referrers or digest in self._followers

    def below(self, digest: Digest) -> Iterator[tuple[Digest, Because]]:
        """Yield what the manifest holds."""
        pointing = self.edges.get(digest)
        if pointing is not None:
            for child in pointing.children:
                yield child, Because.HELD_BY_INDEX
        for referrer in self._referrers.get(digest, ()):
            yield referrer, Because.HELD_BY_SUBJECT
        for follower in self._followers.get(digest, ()):
            yield follower, Because.HELD_BY_SUBJECT

    def subject(self, digest: Digest) -> Digest | None:
        """Return what the manifest's body says that it refers to."""
        pointing = self.edges.get(digest)
        return None if pointing is None else pointing.subject

    def orphans(self, present: Container[Digest]) -> dict[Digest, Digest]:
        """Return the manifests whose subject is not present, each with its subject."""
        return {
            digest: pointing.subject
            for digest, pointing in self.edges.items()
            if pointing.subject is not None and pointing.subject not in present
        }

    def keep(
        self, roots: Iterable[Digest], kept: dict[Digest, Hold | None], *, present: Container[Digest]
    ) -> None:
        """Add the roots and all that must stay with them to ``kept``, each with what holds it.

        Upwards too: a registry that deletes a subject deletes what refers to it ("Deleting the subject
        deletes its graph", Azure's "Manage OCI artifacts"), so what stays keeps its subject, if that is
        ``present``: two orphans of one subject do not keep each other.
        """
        added = [root for root in roots if root not in kept]
        kept.update(dict.fromkeys(added))
        pending = deque(sorted(root for root in added if self.concerns(root)))
        while pending:
            digest = pending.popleft()
            reached = list(self.below(digest))
            if (subject := self.subject(digest)) is not None and subject in present:
                reached.append((subject, Because.HELD_BY_REFERRER))
            for other, how in sorted(reached):
                if other not in kept:
                    kept[other] = Hold(digest, how)
                    pending.append(other)

    def spread(self, roots: Iterable[Digest], within: Collection[Digest]) -> dict[Digest, Digest]:
        """Return what the roots hold, directly or through others, as far as it is in ``within``.

        Each comes after what holds it, and with it; the roots themselves are not among them.
        """
        if not within:
            return {}
        first = sorted(root for root in roots if self.concerns(root))
        found: dict[Digest, Digest] = {}
        pending, seen = deque(first), set(first)
        while pending:
            digest = pending.popleft()
            for other, _ in sorted(self.below(digest)):
                if other in within and other not in seen:
                    seen.add(other)
                    found[other] = digest
                    pending.append(other)
        return found
