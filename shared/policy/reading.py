"""Reading a policy: text to values, values to the model, the model to what planning and routing take."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from shared.errors import InvalidPolicy, Problem
from shared.oci.manifest import digest_of
from shared.policy.combinations import COMBINATION
from shared.policy.document import Document, Path, read_document
from shared.policy.model import (
    CapsModel,
    LimitModel,
    PolicyModel,
    ProtectionModel,
    RetentionModel,
    RouteModel,
    RuleModel,
    SourceModel,
)
from shared.policy.policy import Policy
from shared.replication.collisions import find_possible_collision
from shared.replication.routes import ReplicationPolicy, Route
from shared.retention.caps import Caps
from shared.retention.limits import DEFAULT_REPOSITORY_LIMIT, DEFAULT_RUN_LIMIT, Limit, Limits
from shared.retention.rules import (
    DEFAULT_GRACE,
    KeepRule,
    Newest,
    Protection,
    RetentionPolicy,
    TagRule,
    UntaggedRule,
)
from shared.selection import RepositorySelection, TagSelection, parse_glob

_LISTS_OF_NAMED: Final[tuple[tuple[str, str], ...]] = (
    ("retention", "protect"),
    ("retention", "rules"),
    ("replication", "routes"),
)
_EVERYWHERE: Final = (parse_glob("**", "repository"),)
_WORDINGS: Final[Mapping[str, str]] = {
    "missing": "missing",
    "tuple_type": "expected a list",
    "model_type": "expected keys and values",
    "model_attributes_type": "expected keys and values",
    "too_short": "an empty list",
    "literal_error": "expected {expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
}


def read_policy(text: str | bytes, *, source: str) -> Policy:
    """Return the policy that the document is.

    :raises InvalidPolicy: with every problem, in the order of their lines.
    """
    document = read_document(text)
    problems = list(document.problems)
    model: PolicyModel | None = None
    if document.value is None and not problems:
        problems.append(document.problem((), "empty; it starts with version: 1"))
    elif document.value is not None:
        problems.extend(_repeated_names(document))
        try:
            model = PolicyModel.model_validate(document.value)
        except ValidationError as error:
            problems.extend(_problems(document, error))
    if problems or model is None:
        raise InvalidPolicy(source, sorted(problems, key=lambda problem: (problem.line or 0, problem.path)))
    content = text.encode() if isinstance(text, str) else text
    policy = _policy(model, str(digest_of(content)))
    collision = find_possible_collision(policy.replication)
    if collision is not None:
        raise InvalidPolicy(source, [document.problem(("replication", "routes"), str(collision))])
    return policy


def _repeated_names(document: Document) -> Iterator[Problem]:
    for path in _LISTS_OF_NAMED:
        entries: Any = document.value
        for key in path:
            entries = entries.get(key) if isinstance(entries, dict) else None
        seen: set[str] = set()
        for position, entry in enumerate(entries if isinstance(entries, list) else ()):
            name = entry.get("name") if isinstance(entry, dict) else None
            if not isinstance(name, str):
                continue
            if name in seen:
                yield document.problem((*path, position, "name"), f"the name {str(name)!r} stands here twice")
            seen.add(name)


def _problems(document: Document, error: ValidationError) -> Iterator[Problem]:
    errors = error.errors(include_url=False, include_input=False)
    deeper = {found["loc"][:-1] for found in errors if found["loc"]}
    for found in errors:
        path: Path = found["loc"]
        if found["type"] == COMBINATION:
            for key, message in found["ctx"]["problems"]:
                yield document.problem((*path, key), message)
        elif found["type"] == "extra_forbidden":
            yield document.problem(path, f"unknown key{_nearest(path)}")
        elif found["type"] != "too_short" or path not in deeper:  # wrong items are not counted either
            wording = _WORDINGS.get(found["type"])
            message = wording.format(**found.get("ctx", {})) if wording else found["msg"]
            yield document.problem(path, message.removeprefix("Value error, "))


def _nearest(path: Path) -> str:
    """Suggest the known key that an unknown one is most like."""
    model: type[BaseModel] | None = PolicyModel
    for part in path[:-1]:
        if model is not None and isinstance(part, str):
            model = _MODELS.get((model, part))
    if model is None:
        return ""
    known = [found.alias or name for name, found in model.model_fields.items()]
    near = difflib.get_close_matches(str(path[-1]), known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"


def _models() -> dict[tuple[type[BaseModel], str], type[BaseModel]]:
    """Return which model stands under each key of each model."""
    found: dict[tuple[type[BaseModel], str], type[BaseModel]] = {}
    pending: list[type[BaseModel]] = [PolicyModel]
    while pending:
        model = pending.pop()
        for name, each in model.model_fields.items():
            inner = next((kind for kind in _types_in(each.annotation)), None)
            if inner is not None:
                found[model, each.alias or name] = inner
                pending.append(inner)
    return found


def _types_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _types_in(argument)


_MODELS: Final = _models()


def _policy(model: PolicyModel, digest: str) -> Policy:
    retention = model.retention or RetentionModel.model_validate({})
    routes = model.replication.routes if model.replication else ()
    return Policy(
        version=model.version,
        digest=digest,
        retention=_retention(retention, digest),
        replication=ReplicationPolicy(routes=tuple(map(_route, routes))),
    )


def _retention(model: RetentionModel, digest: str) -> RetentionPolicy:
    limits = model.limits
    return RetentionPolicy(
        digest=digest,
        grace=model.grace or DEFAULT_GRACE,
        protections=tuple(map(_protection, model.protect)),
        keep_rules=tuple(_keep_rule(rule) for rule in model.rules if rule.keep),
        tag_rules=tuple(_tag_rule(rule) for rule in model.rules if not rule.keep and not rule.untagged),
        untagged_rules=tuple(_untagged_rule(rule) for rule in model.rules if rule.untagged),
        limits=Limits(
            repository=_limit(limits.repository if limits else None, DEFAULT_REPOSITORY_LIMIT),
            run=_limit(limits.run if limits else None, DEFAULT_RUN_LIMIT),
        ),
        at_most=_caps(model.at_most),
    )


def _caps(model: CapsModel | None) -> Caps:
    return Caps() if model is None else Caps(repository=model.repository, run=model.run)


def _limit(model: LimitModel | None, default: Limit) -> Limit:
    if model is None:
        return default
    return Limit(deletions=model.deletions, percent=model.percent, combine=model.combine)


def _repositories(model: ProtectionModel | RuleModel | SourceModel) -> RepositorySelection:
    return RepositorySelection(
        registries=model.registries or (),
        repositories=model.repositories or _EVERYWHERE,
        excluded=model.exclude_repositories,
    )


def _tags(model: RuleModel | SourceModel) -> TagSelection:
    ranges = (model.versions or ()) if isinstance(model, SourceModel) else ()
    return TagSelection(
        globs=model.tags or (),
        expressions=(*(model.tags_matching or ()), *ranges),
        excluded=model.exclude_tags,
    )


def _protection(model: ProtectionModel) -> Protection:
    return Protection(
        name=model.name or ", ".join(glob.text for glob in model.tags),
        repositories=_repositories(model),
        tags=TagSelection(globs=model.tags),
    )


def _newest(model: RuleModel) -> Newest | None:
    if model.keep_newest is None:
        return None
    return Newest(count=model.keep_newest, order_by=model.order_by, per=model.keep_newest_per)


def _keep_rule(model: RuleModel) -> KeepRule:
    return KeepRule(
        name=model.name, repositories=_repositories(model), tags=_tags(model), newest=_newest(model)
    )


def _tag_rule(model: RuleModel) -> TagRule:
    return TagRule(
        name=model.name,
        repositories=_repositories(model),
        tags=_tags(model),
        older_than=model.older_than,
        age_by=model.age_by,
        newest=_newest(model),
        when=model.when,
        only_if_more_than=model.only_if_more_than,
        untag_only=model.untag_only,
        on_push=model.on_push,
    )


def _untagged_rule(model: RuleModel) -> UntaggedRule:
    return UntaggedRule(
        name=model.name,
        repositories=_repositories(model),
        older_than=model.older_than,
        on_push=model.on_push,
    )


def _route(model: RouteModel) -> Route:
    return Route(
        name=model.name,
        source=_repositories(model.source),
        tags=_tags(model.source),
        targets=model.to,
        on_delete=model.on_delete,
        referrers=model.referrers,
        visibility=model.visibility,
        platforms=model.platforms or (),
        extra_tags=model.extra_tags or (),
    )
