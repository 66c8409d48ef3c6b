"""An emulated Azure registry in a process of its own, so that it shares no core with what is measured.

``python -m benchmarks.registry_process '{"latency": 0.02}'`` is the far end, :class:`RegistryProcess` ours.
"""

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import requests

from benchmarks.children import Worker, serve
from emulators.acr import AcrEmulator
from emulators.acr.principals import ADMIN
from emulators.certificates import CertificateAuthority
from emulators.registry.records import DOCKER_INDEX, DOCKER_MANIFEST, OCI_MANIFEST, digest_of
from emulators.registry.state import RegistryState
from emulators.server import Server
from shared.oci.names import Digest, LoginServer
from shared.registry.acr import AcrClient
from shared.registry.credentials import BasicCredential
from shared.registry.transport import TransportOptions

CHILDREN: Final = 3
_FAMILY: Final = CHILDREN + 1
_OLD: Final = timedelta(days=100)
_REPLY: Final = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'


class Place(NamedTuple):
    """Where the registry is and who may do anything there: what a third process needs to know."""

    url: str
    bare_url: str
    login_server: str
    ca_file: str
    username: str
    password: str

    def client(self, **options: Any) -> AcrClient:
        """Return a client of ours; without ``paces`` it keeps to those of the product."""
        return AcrClient(
            LoginServer(self.login_server),
            BasicCredential(username=self.username, secret=self.password),
            options=TransportOptions(ca_file=Path(self.ca_file), **options),
        )


class RegistryProcess(Worker):
    """The near end: where the registry is, and what it counted."""

    def __init__(self, **options: object) -> None:
        super().__init__("benchmarks.registry_process", json.dumps(options))
        self.place = Place(**self.ready)

    def session(self, repository: str, *actions: str, threads: int = 1) -> requests.Session:
        """Return a plain session that is signed in, as anyone would write it."""
        session = requests.Session()
        session.trust_env = False
        session.verify = self.place.ca_file
        session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=threads))
        scope = f"repository:{repository}:{','.join(actions)}"
        query = {"service": self.place.login_server, "scope": scope}
        answer = session.get(
            f"{self.place.url}/oauth2/token",
            params=query,
            auth=(self.place.username, self.place.password),
            timeout=30,
        )
        answer.raise_for_status()
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return session

    def fill(self, repository: str, count: int, *, kind: str) -> list[Digest]:
        """Put old manifests there and return their digests.

        ``docker`` and ``oci`` ones have no tag; ``indexes`` have one, and are counted with their children.
        """
        found: list[Digest] = self.ask(ask="fill", repository=repository, count=count, kind=kind)
        return found

    def count(self, method: str | None = None, path: str | None = None, status: int | None = None) -> int:
        """Return how many requests matched since the last :meth:`forget`."""
        found: int = self.ask(ask="count", method=method, path=path, status=status)
        return found

    def deletes_left(self) -> float:
        """Return how many deletes the quota of whoever is signed in still has in store."""
        found: float = self.ask(ask="deletes_left")
        return found

    def forget(self) -> None:
        """Forget the requests that were seen."""
        self.ask(ask="forget")


@dataclass(slots=True)
class _Filling:
    """Synthetic manifests: the emulator takes them into its state without looking for their blobs."""

    state: RegistryState
    made: int = 0

    def __call__(self, repository: str, count: int, kind: str) -> list[str]:
        at = datetime.now(UTC) - _OLD
        if kind == "indexes":
            families = [self._family(repository, at) for _ in range(count // _FAMILY)]
            return [digest for family in families for digest in family]
        media_type = DOCKER_MANIFEST if kind == "docker" else OCI_MANIFEST
        return [self._image(repository, media_type, at) for _ in range(count)]

    def _image(self, repository: str, media_type: str, at: datetime) -> str:
        self.made += 1
        blob = {"mediaType": "application/octet-stream", "digest": digest_of(b"%d" % self.made), "size": 512}
        document = {"schemaVersion": 2, "mediaType": media_type, "config": blob, "layers": [blob]}
        return self.state.put_manifest(repository, json.dumps(document).encode(), media_type, at=at).digest

    def _family(self, repository: str, at: datetime) -> list[str]:
        children = [self._image(repository, DOCKER_MANIFEST, at) for _ in range(CHILDREN)]
        entries = [{"mediaType": DOCKER_MANIFEST, "digest": each, "size": 512} for each in children]
        document = {"schemaVersion": 2, "mediaType": DOCKER_INDEX, "manifests": entries}
        content = json.dumps(document).encode()
        index = self.state.put_manifest(repository, content, DOCKER_INDEX, tag=f"v{self.made}", at=at)
        return [*children, index.digest]


async def _bare(scope: Any, receive: Any, send: Any) -> None:
    """Answer anything with the same few bytes: what any emulator on this server could at most do."""
    del scope, receive
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_REPLY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _REPLY})


def _main() -> None:
    options = json.loads(sys.argv[1])
    with (
        CertificateAuthority() as ca,
        AcrEmulator(ca=ca, **options) as acr,
        Server(_bare, ca=ca) as bare,
    ):
        place = Place(
            url=acr.url,
            bare_url=bare.url,
            login_server=acr.login_server,
            ca_file=str(ca.ca_file),
            username=acr.admin_username,
            password=acr.admin_password,
        )
        answers = {
            "fill": _Filling(acr.state),
            "count": lambda method, path, status: acr.traffic.count(method, path, status=status),
            "forget": acr.traffic.clear,
            "deletes_left": lambda: acr.quotas.left("delete", ADMIN),
        }
        serve(answers, place._asdict())


if __name__ == "__main__":
    _main()
