"""Plans, reports and runs as JSON: one form for the stored blobs, the API and the command line.

A plan reads back as the plan it was, its reasons as the words they were written in.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from shared.errors import InvalidMessage
from shared.oci.names import parse_digest, parse_login_server, parse_repository, parse_tag
from shared.retention.caps import Postponement
from shared.retention.limits import Refusal
from shared.retention.plan import DeleteManifest, ManifestVerdict, RepositoryPlan, TagVerdict, Untag
from shared.retention.reasons import Because, Reason
from shared.retention.report import RepositoryReport

type Document = dict[str, Any]


def plan_to_json(plan: RepositoryPlan) -> Document:
    """Return the plan as JSON values: what goes, in order, what stays, and every reason in words."""
    return {
        "registry": plan.registry,
        "repository": plan.repository,
        "at": plan.at.isoformat(),
        "policy_digest": plan.policy_digest,
        "untag": [_untag(untag) for untag in plan.untag],
        "delete": [_delete(deletion) for deletion in plan.delete],
        "keep": [
            *(
                {"tag": verdict.tag, "rule": verdict.rule, "reason": str(verdict.reason)}
                for verdict in plan.tag_verdicts
                if verdict.keep
            ),
            *(
                {"digest": verdict.digest, "rule": verdict.rule, "reason": str(verdict.reason)}
                for verdict in plan.manifest_verdicts
                if verdict.keep
            ),
        ],
        "warnings": list(plan.warnings),
        "refused": None if plan.refused is None else plan.refused.to_json(),
        "postponed": None if plan.postponed is None else plan.postponed.to_json(),
        "closed": plan.closed,
        "rules_matched": list(plan.rules_matched),
    }


def _untag(untag: Untag) -> Document:
    document: Document = {
        "tag": untag.tag,
        "digest": untag.digest,
        "rule": untag.rule,
        "reason": str(untag.reason),
    }
    if untag.subject is not None:
        document["subject"] = untag.subject
    return document


def _delete(deletion: DeleteManifest) -> Document:
    document: Document = {
        "digest": deletion.digest,
        "size": deletion.size,
        "rule": deletion.rule,
        "reason": str(deletion.reason),
    }
    if deletion.held_by:
        document["held_by"] = list(deletion.held_by)
    return document


def plan_from_json(document: Mapping[str, Any]) -> RepositoryPlan:
    """Return the plan that :func:`plan_to_json` wrote; writing it again gives the same JSON.

    :raises InvalidMessage: when the document is no plan, or names something that cannot be a name.
    """
    try:
        return _plan(document)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidMessage(f"stored plan: {type(error).__name__}: {error}") from error


def _plan(document: Mapping[str, Any]) -> RepositoryPlan:
    postponed = document.get("postponed")
    untag = tuple(_read_untag(entry) for entry in document["untag"])
    delete = tuple(_read_delete(entry) for entry in document["delete"])
    tags = [TagVerdict(entry.tag, False, entry.rule, entry.reason) for entry in untag]
    manifests = [ManifestVerdict(entry.digest, False, entry.rule, entry.reason) for entry in delete]
    for entry in document["keep"]:
        reason = _stored(entry["reason"])
        if "tag" in entry:
            tags.append(TagVerdict(parse_tag(entry["tag"]), True, entry["rule"], reason))
        else:
            manifests.append(ManifestVerdict(parse_digest(entry["digest"]), True, entry["rule"], reason))
    return RepositoryPlan(
        registry=parse_login_server(document["registry"]),
        repository=parse_repository(document["repository"]),
        at=datetime.fromisoformat(document["at"]),
        policy_digest=document["policy_digest"],
        tag_verdicts=tuple(sorted(tags, key=lambda verdict: verdict.tag)),
        manifest_verdicts=tuple(sorted(manifests, key=lambda verdict: verdict.digest)),
        untag=untag,
        delete=delete,
        warnings=tuple(document["warnings"]),
        refused=None if document["refused"] is None else Refusal.from_json(document["refused"]),
        postponed=None if postponed is None else Postponement.from_json(postponed),
        closed=document["closed"],
        rules_matched=tuple(document["rules_matched"]),
    )


def _read_untag(entry: Mapping[str, Any]) -> Untag:
    subject = entry.get("subject")
    return Untag(
        tag=parse_tag(entry["tag"]),
        digest=parse_digest(entry["digest"]),
        rule=entry["rule"],
        reason=_stored(entry["reason"]),
        subject=None if subject is None else parse_digest(subject),
    )


def _read_delete(entry: Mapping[str, Any]) -> DeleteManifest:
    return DeleteManifest(
        digest=parse_digest(entry["digest"]),
        size=int(entry["size"]),
        rule=entry["rule"],
        reason=_stored(entry["reason"]),
        held_by=tuple(parse_digest(holder) for holder in entry.get("held_by", ())),
    )


def _stored(text: str) -> Reason:
    return Reason(Because.STORED, (text,))


def plans_to_json(
    plans: Iterable[RepositoryPlan], *, registry: str, at: datetime, policy_digest: str
) -> Document:
    """Return several plans of one registry as one document."""
    return {
        "registry": registry,
        "at": at.isoformat(),
        "policy_digest": policy_digest,
        "repositories": [plan_to_json(plan) for plan in plans],
    }


def report_to_json(report: RepositoryReport) -> Document:
    """Return the report as JSON values: the whole plan, the outcomes in the order they came, the counts."""
    return {
        "mode": report.mode,
        "started": report.started.isoformat(),
        "finished": report.finished.isoformat(),
        "seconds": (report.finished - report.started).total_seconds(),
        "plan": plan_to_json(report.plan),
        "outcomes": [outcome.to_json() for outcome in report.outcomes],
        "counts": report.counts,
        "missing": report.missing,
        "traffic": report.traffic.to_json(),
    }
