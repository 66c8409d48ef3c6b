"""What this app remembers of a tag that it put on a target."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.errors import InvalidInput, InvalidName
from shared.oci.names import Digest, Reference, parse_digest, parse_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One tag on a target that this app wrote, or was about to write.

    ``digest`` is what the tag was pointed at, ``source_digest`` what the source's tag held then: the same,
    unless the route copies only some ``platforms``. ``pushed`` and ``created`` are the source tag's times,
    which the target does not know: there every tag is as old as its replication.
    """

    source: Reference
    route: str
    digest: Digest
    source_digest: Digest
    copied: datetime
    pushed: datetime | None = None
    created: datetime | None = None
    platforms: str = ""

    def shows(self, source_digest: Digest, found: Digest | None, *, platforms: str) -> bool:
        """Tell whether a target that holds ``found`` is what the source's digest asks for."""
        return (self.source_digest, self.digest, self.platforms) == (source_digest, found, platforms)

    def to_fields(self) -> dict[str, str]:
        """Return the stored form: printable ASCII, without empty values."""
        fields = {
            "source": str(self.source),
            "route": self.route,
            "digest": self.digest,
            "source_digest": self.source_digest,
            "copied": self.copied.isoformat(),
            "pushed": _moment(self.pushed),
            "created": _moment(self.created),
            "platforms": self.platforms,
        }
        return {name: value for name, value in fields.items() if value}

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> "Replica":
        """Return the replica that :meth:`to_fields` wrote.

        :raises InvalidInput: when the fields are something else.
        """
        try:
            return cls(
                source=parse_reference(fields["source"]),
                route=fields["route"],
                digest=parse_digest(fields["digest"]),
                source_digest=parse_digest(fields["source_digest"]),
                copied=datetime.fromisoformat(fields["copied"]),
                pushed=_parse_moment(fields.get("pushed")),
                created=_parse_moment(fields.get("created")),
                platforms=fields.get("platforms", ""),
            )
        except (KeyError, ValueError, InvalidName) as error:
            raise InvalidInput(f"no replica: {type(error).__name__}: {error}") from error


def _moment(time: datetime | None) -> str:
    return "" if time is None else time.isoformat()


def _parse_moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
