"""The kinds of value that a policy document holds, each parsed where it stands."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from shared.errors import InvalidInput
from shared.policy.document import Plain
from shared.policy.expressions import Re2Expression, parse_expression
from shared.policy.version_ranges import VersionRange, parse_version_range
from shared.replication.templates import TagTemplate, TargetTemplate, parse_tag_template, parse_template
from shared.retention.durations import Duration, parse_duration
from shared.selection import Glob, parse_glob

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_PLATFORM: Final = re.compile(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?", re.ASCII)
_WHOLE: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_DURATION: Final = r"^[1-9][0-9]{0,6}[mhdw]$"
_MANY: Final = 1000


def _from_text[V](parse: Callable[[str], V]) -> Callable[[Any], V]:
    def validate(value: Any) -> V:
        if not isinstance(value, str):
            raise InvalidInput("expected a text")
        return parse(str(value))

    return validate


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise InvalidInput(f"{text[:140]!r} is not a name: letters, digits, '.', '_' and '-', at most 100")
    return text


def _platform(text: str) -> str:
    if not _PLATFORM.fullmatch(text):
        raise InvalidInput(f"{text[:140]!r} is not a platform: expected such as linux/amd64 or linux/arm/v7")
    return text


def _whole_number(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Plain) and _WHOLE.fullmatch(value):
        return int(value)
    raise InvalidInput("expected a whole number")


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, Plain) and value in {"true", "false"}:
        return value == "true"
    raise InvalidInput("expected true or false")


def _list_of_one(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _grace(text: str) -> Duration:
    return parse_duration(text, zero=True)


def _glob(kind: Any) -> Callable[[str], Glob]:
    return lambda text: parse_glob(text, kind)


def _text_schema(**more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **more})


Name = Annotated[str, PlainValidator(_from_text(_name)), _text_schema(pattern=f"^{_NAME.pattern}$")]
Age = Annotated[
    Duration,
    PlainValidator(_from_text(parse_duration)),
    _text_schema(pattern=_DURATION, examples=["90m", "12h", "30d", "6w"]),
]
Grace = Annotated[
    Duration, PlainValidator(_from_text(_grace)), _text_schema(pattern="^(0|[1-9][0-9]{0,6})[mhdw]$")
]
Count = Annotated[int, BeforeValidator(_whole_number), Field(ge=1)]
Percent = Annotated[int, BeforeValidator(_whole_number), Field(ge=1, le=100)]
YesNo = Annotated[bool, BeforeValidator(_truth)]
Version = Annotated[int, BeforeValidator(_whole_number), Field(ge=1, le=1)]

_Registry = Annotated[Glob, PlainValidator(_from_text(_glob("registry"))), _text_schema(minLength=1)]
_Repository = Annotated[Glob, PlainValidator(_from_text(_glob("repository"))), _text_schema(minLength=1)]
_Tag = Annotated[Glob, PlainValidator(_from_text(_glob("tag"))), _text_schema(minLength=1)]
_Expression = Annotated[
    Re2Expression, PlainValidator(_from_text(parse_expression)), _text_schema(minLength=1)
]
_Template = Annotated[
    TargetTemplate,
    PlainValidator(_from_text(parse_template)),
    _text_schema(examples=["docker.io/acme/{basename}"]),
]

_VersionRange = Annotated[
    VersionRange,
    PlainValidator(_from_text(parse_version_range)),
    _text_schema(examples=[">=1.4.0 <2.0.0", "^1.4.0", "~1.4.0", "1.x"]),
]
_Platform = Annotated[
    str, PlainValidator(_from_text(_platform)), _text_schema(pattern=f"^{_PLATFORM.pattern}$")
]
_ExtraTag = Annotated[
    TagTemplate, PlainValidator(_from_text(parse_tag_template)), _text_schema(examples=["{tag}-mirror"])
]

Registries = Annotated[tuple[_Registry, ...], Field(min_length=1, max_length=_MANY)]
Repositories = Annotated[tuple[_Repository, ...], Field(min_length=1, max_length=_MANY)]
Tags = Annotated[tuple[_Tag, ...], Field(min_length=1, max_length=_MANY)]
Expressions = Annotated[tuple[_Expression, ...], Field(min_length=1, max_length=_MANY)]
VersionRanges = Annotated[
    tuple[_VersionRange, ...], BeforeValidator(_list_of_one), Field(min_length=1, max_length=_MANY)
]
Platforms = Annotated[tuple[_Platform, ...], Field(min_length=1, max_length=_MANY)]
ExtraTags = Annotated[tuple[_ExtraTag, ...], Field(min_length=1, max_length=_MANY)]
ExcludedRepositories = Annotated[tuple[_Repository, ...], Field(max_length=_MANY)]
ExcludedTags = Annotated[tuple[_Tag, ...], Field(max_length=_MANY)]
Templates = Annotated[
    tuple[_Template, ...], BeforeValidator(_list_of_one), Field(min_length=1, max_length=_MANY)
]
