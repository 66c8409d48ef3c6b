import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from starlette.requests import Request

SYSTEM_KEY = "eventgrid_extension"


def _new_key() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKeys:
    """Access keys of the host: the master key, the one that opens all functions, Event Grid's own."""

    master: str = field(default_factory=_new_key)
    default: str = field(default_factory=_new_key)
    event_grid: str = field(default_factory=_new_key)

    @classmethod
    def kept_in(cls, path: Path | None) -> "HostKeys":
        """Keys read from the file, or new ones written to it, so that they outlive a restart."""
        if path is None:
            return cls()
        if path.exists():
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        keys = cls()
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(keys)), encoding="utf-8")
        return keys

    def opens(self, request: Request, *level_keys: str) -> bool:
        """Whether the request shows the master key or one of the keys of its level."""
        given = request.headers.get("x-functions-key") or request.query_params.get("code")
        if given is None:
            return False
        return any(secrets.compare_digest(given.encode(), key.encode()) for key in (self.master, *level_keys))
