"""Keys that do not go together: checked once each is right by itself."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pydantic_core import PydanticCustomError

from shared.errors import InvalidInput
from shared.policy.expressions import Re2Expression
from shared.replication.templates import check_template

if TYPE_CHECKING:
    from shared.policy.model import RouteModel, RuleModel

COMBINATION: Final = "combination"
"""The error type whose context lists problems, each a key and a message."""

_ONLY_FOR_TAGS: Final = (
    "exclude_tags",
    "keep",
    "age_by",
    "keep_newest",
    "keep_newest_per",
    "order_by",
    "when",
    "only_if_more_than",
    "untag_only",
)
_ONLY_FOR_REMOVAL: Final = ("older_than", "age_by", "when", "only_if_more_than", "untag_only", "on_push")

type _Found = Iterator[tuple[str, str]]


def check_rule(rule: "RuleModel") -> None:
    """Check the keys of a rule against each other.

    :raises PydanticCustomError: listing every problem.
    """
    _raise([*_selecting(rule), *(_untagged(rule) if rule.untagged else _tagged(rule))])


def check_route(route: "RouteModel") -> None:
    """Check a route's targets against what it takes.

    :raises PydanticCustomError: listing every problem.
    """
    problems: list[tuple[str, str]] = []
    source = route.source
    if source.tags is None and source.tags_matching is None and source.versions is None:
        problems.append(("from", "needs tags, tags_matching or versions"))
    groups = _shared_groups(source.tags_matching or ())
    if source.tags is not None or source.versions is not None:
        groups = frozenset()
    for template in route.to:
        try:
            check_template(template, route.source.repositories, groups)
        except InvalidInput as error:
            problems.append(("to", str(error)))
    _raise(problems)


def _raise(problems: list[tuple[str, str]]) -> None:
    if problems:
        raise PydanticCustomError(COMBINATION, "keys do not go together", {"problems": problems})


def _selecting(rule: "RuleModel") -> _Found:
    about_tags = rule.tags is not None or rule.tags_matching is not None
    if about_tags == rule.untagged:
        say = (
            "either tags and tags_matching, or untagged: true" if about_tags else "missing, or untagged: true"
        )
        yield ("tags", say)


def _untagged(rule: "RuleModel") -> _Found:
    for key in _ONLY_FOR_TAGS:
        if key in rule.model_fields_set:
            yield (key, "says nothing about untagged manifests")


def _tagged(rule: "RuleModel") -> _Found:
    given = rule.model_fields_set
    if rule.keep:
        for key in _ONLY_FOR_REMOVAL:
            if key in given:
                yield (key, "a rule that keeps removes nothing, and has no use for it")
    elif rule.older_than is None and rule.keep_newest is None:
        yield ("older_than", "missing, or keep_newest: what makes a tag go?")
    if "when" in given and not rule.keep and (rule.older_than is None or rule.keep_newest is None):
        yield ("when", "combines older_than and keep_newest, and one is missing")
    if "age_by" in given and not rule.keep and rule.older_than is None:
        yield ("age_by", "older_than is missing")
    for key in ("order_by", "keep_newest_per"):
        if key in given and rule.keep_newest is None:
            yield (key, "keep_newest is missing")
    if rule.keep_newest_per is not None:
        yield from _streams(rule)


def _streams(rule: "RuleModel") -> _Found:
    group = rule.keep_newest_per
    if rule.tags is not None:
        yield ("keep_newest_per", "tags under globs have no groups; write them as tags_matching")
    if group not in _shared_groups(rule.tags_matching or ()):
        yield ("keep_newest_per", f"not every tags_matching has a group (?P<{group}>...)")


def _shared_groups(expressions: tuple[Re2Expression, ...]) -> frozenset[str]:
    """Return the groups that every expression has."""
    if not expressions:
        return frozenset()
    return frozenset.intersection(*(expression.groups for expression in expressions))
