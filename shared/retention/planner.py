"""One repository's plan in the making: tags are judged first, manifests by what is left of the tags."""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Final, NamedTuple

from shared.oci import media_types
from shared.oci.graph import deletion_order
from shared.oci.names import Digest, TagName
from shared.retention.bound import bound_tags
from shared.retention.holdings import Holdings
from shared.retention.manifests import (
    BoundTag,
    ManifestJudge,
    ManifestJudgement,
    TagsByManifest,
    untagged_condition,
)
from shared.retention.reasons import Because, Reason
from shared.retention.rules import RetentionPolicy
from shared.retention.snapshot import ManifestRecord, RepositorySnapshot, TagRecord
from shared.retention.tags import Loss, Opinion, is_young, judge_tags
from shared.retention.verdicts import DeleteManifest, ManifestVerdict, RepositoryPlan, TagVerdict, Untag

_WARNED_OF: Final = 20
_NAMED: Final = 3
_DANGLING: Final = frozenset(
    {Because.UNTAGGED_EXPIRED, Because.UNTAGGED_UNEXPIRED, Because.ORPHAN, Because.SIGNATURE_STORE}
)


class Standing(NamedTuple):
    """Whether a tag stays, by which rule, and why."""

    keep: bool
    opinion: Opinion


class Planner:
    """Plans one repository that some rule names; made for one call of :meth:`plan`."""

    def __init__(
        self,
        snapshot: RepositorySnapshot,
        policy: RetentionPolicy,
        tags: Mapping[TagName, TagRecord],
        manifests: Mapping[Digest, ManifestRecord],
        now: datetime,
    ) -> None:
        self._snapshot = snapshot
        self._policy = policy
        self._tags = tags
        self._manifests = manifests
        self._now = now
        self._grace_cutoff = now - policy.grace.delta
        self._subjects = bound_tags(tags.values(), manifests.keys())
        self._followers: dict[Digest, list[Digest]] = defaultdict(list)
        for name, subject in self._subjects.items():
            self._followers[subject].append(tags[name].digest)
        self._holdings = Holdings(snapshot.edges, self._followers)
        self._warnings: list[str] = list(snapshot.warnings)
        self._matched: set[str] = set()

    def plan(self) -> RepositoryPlan:
        """Return the plan."""
        closed = self._why_closed()
        if closed is not None:
            self._warnings.append(f"nothing is removed: {closed}")
        tags = self._judge_tags()
        leaving, staying = self._judge_manifests(tags)
        self._add_bound_tags(tags, leaving)
        self._warn_of_missing_children(leaving)
        if closed is not None:
            stays: Opinion = (None, Reason(Because.CLOSED, (closed,)))
            tags = {
                name: standing if standing.keep else Standing(True, stays) for name, standing in tags.items()
            }
            staying |= dict.fromkeys(leaving, stays)
            leaving = {}
        return RepositoryPlan(
            registry=self._snapshot.registry,
            repository=self._snapshot.repository,
            at=self._now,
            policy_digest=self._policy.digest,
            tag_verdicts=tuple(TagVerdict(name, tags[name].keep, *tags[name].opinion) for name in self._tags),
            manifest_verdicts=tuple(
                ManifestVerdict(digest, False, *leaving[digest])
                if digest in leaving
                else ManifestVerdict(digest, True, *staying[digest])
                for digest in sorted(self._manifests)
            ),
            untag=tuple(self._untags(tags)),
            delete=tuple(self._deletions(leaving)),
            warnings=tuple(self._warnings),
            rules_matched=tuple(sorted(self._matched)),
            closed=closed is not None,
        )

    def _why_closed(self) -> str | None:
        """Return what is unknown of the repository that could make a removal wrong, or ``None``.

        A body that could not be read may list any manifest, and may refer to any; so may a media type
        that nobody here knows. A tag whose manifest was not listed says that the list has holes.
        """
        unknown = [
            f"{digest} could not be read ({reason})"
            for digest, reason in self._snapshot.unreadable.items()
            if digest in self._manifests
        ]
        unknown.extend(
            f"{record.digest} is of media type {record.media_type}, and what it points at was not read"
            for record in self._manifests.values()
            if record.media_type not in _SELF_CONTAINED
            and record.digest not in self._snapshot.edges
            and record.digest not in self._snapshot.unreadable
        )
        unknown.extend(
            f"tag {tag.name} points at {tag.digest}, which was not listed"
            for tag in self._tags.values()
            if tag.digest not in self._manifests
        )
        if not unknown:
            return None
        unknown.sort()
        more = len(unknown) - _NAMED
        return "; ".join(unknown[:_NAMED]) + (f"; and {more} more" if more > 0 else "")

    def _judge_tags(self) -> dict[TagName, Standing]:
        registry, repository = self._snapshot.registry, self._snapshot.repository
        judgement = judge_tags(
            [tag for tag in self._tags.values() if tag.name not in self._subjects],
            protections=(p for p in self._policy.protections if p.repositories.covers(registry, repository)),
            keep_rules=(r for r in self._policy.keep_rules if r.repositories.covers(registry, repository)),
            tag_rules=(r for r in self._policy.tag_rules if r.repositories.covers(registry, repository)),
            now=self._now,
        )
        self._warnings.extend(judgement.warnings)
        self._matched |= judgement.matched
        self._losses = judgement.losses
        grace = self._policy.grace
        return {
            tag.name: Standing(
                *judgement.verdict(tag, self._manifests.get(tag.digest), self._grace_cutoff, grace)
            )
            for tag in self._tags.values()
            if tag.name not in self._subjects
        }

    def _judge_manifests(self, tags: Mapping[TagName, Standing]) -> ManifestJudgement:
        kept: dict[Digest, TagName] = {}
        lost: dict[Digest, list[tuple[TagName, Loss]]] = defaultdict(list)
        bound: dict[Digest, list[BoundTag]] = defaultdict(list)
        for tag in self._tags.values():
            if (subject := self._subjects.get(tag.name)) is not None:
                young = is_young(tag, self._grace_cutoff)
                bound[tag.digest].append(BoundTag(subject, tag.name, tag.locked, young))
            elif tags[tag.name].keep:
                kept.setdefault(tag.digest, tag.name)
            else:
                lost[tag.digest].append((tag.name, self._losses[tag.name]))
        registry, repository = self._snapshot.registry, self._snapshot.repository
        rules = [r for r in self._policy.untagged_rules if r.repositories.covers(registry, repository)]
        judgement = ManifestJudge(
            self._manifests,
            TagsByManifest(kept=kept, lost=lost, bound=bound),
            self._holdings,
            condition=untagged_condition(rules, now=self._now, grace=self._policy.grace),
            grace=self._policy.grace,
            now=self._now,
        ).judge()
        opinions = chain(judgement.leaving.values(), judgement.staying.values())
        if rules and any(reason.code in _DANGLING for _, reason in opinions):
            self._matched.update(rule.name for rule in rules)
        return judgement

    def _add_bound_tags(self, tags: dict[TagName, Standing], leaving: Mapping[Digest, Opinion]) -> None:
        """Give each bound tag the fate of the manifest that it is on."""
        for name, subject in self._subjects.items():
            tag = self._tags[name]
            gone = leaving.get(tag.digest)
            if gone is not None:
                tags[name] = Standing(False, (gone[0], Reason(Because.BOUND_GOES, (subject,))))
            else:
                why = Reason(Because.TAG_LOCKED) if tag.locked else Reason(Because.BOUND, (subject,))
                tags[name] = Standing(True, (None, why))

    def _warn_of_missing_children(self, leaving: Container[Digest]) -> None:
        """Say which indexes that stay are incomplete; that is no reason to stop (Azure/acr-cli #459)."""
        incomplete = {
            digest: missing
            for digest, pointing in self._holdings.edges.items()
            if pointing.children
            and digest in self._manifests
            and digest not in leaving
            and (missing := [child for child in pointing.children if child not in self._manifests])
        }
        for digest in sorted(incomplete)[:_WARNED_OF]:
            missing = incomplete[digest]
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            self._warnings.append(
                f"index {digest} lists {missing[0]}{more}, which the repository does not have"
            )
        if len(incomplete) > _WARNED_OF:
            self._warnings.append(f"{len(incomplete) - _WARNED_OF} more indexes list missing manifests")

    def _untags(self, tags: Mapping[TagName, Standing]) -> Iterator[Untag]:
        for tag in self._tags.values():
            keep, (rule, reason) = tags[tag.name]
            if not keep:
                subject = self._subjects.get(tag.name)
                yield Untag(
                    tag.name, tag.digest, rule or "", reason, subject if subject in self._manifests else None
                )

    def _deletions(self, leaving: Mapping[Digest, Opinion]) -> Iterator[DeleteManifest]:
        order = deletion_order(leaving, self._holdings.edges, bound=self._followers)
        for digest, held_by in order.items():
            rule, reason = leaving[digest]
            yield DeleteManifest(digest, self._manifests[digest].size, rule or "", reason, held_by)


_SELF_CONTAINED: Final = media_types.IMAGES | media_types.ARTIFACTS | media_types.SCHEMA_1
"""Types of which a body that was not read at all is taken to point at no other manifest."""
