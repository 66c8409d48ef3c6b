"""The four servers of the emulated Docker Hub, wired."""

import re
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Literal, Self

from starlette.types import ASGIApp

from emulators.certificates import CertificateAuthority
from emulators.dockerhub.accounts import Account, Accounts, Scope, kind_of_secret, widest_scope
from emulators.dockerhub.api.application import build_api
from emulators.dockerhub.auth import build_auth
from emulators.dockerhub.catalogue import HubCatalogue, HubRepository, ImmutableTags
from emulators.dockerhub.hub import Hub
from emulators.dockerhub.limits import AbuseLimit, ApiLimit, FixedWindows
from emulators.dockerhub.registry import DockerHubHost
from emulators.dockerhub.tokens import TokenIssuer
from emulators.registry.distribution import Distribution
from emulators.registry.state import Clock, RegistryState, utc_now
from emulators.registry.storage import BlobStorage
from emulators.server import Server
from emulators.traffic import Edge, Faults, Traffic

_PULL_WINDOW = timedelta(hours=6)


class DockerHubEmulator:
    """Four servers that together behave like Docker Hub: registry, token service, Hub API, CDN.

    ``pull_limit`` counts manifest GETs of an identity in six hours, ``api_limit_per_minute`` requests of
    an address to the Hub API, ``abuse_limit_per_minute`` requests of an address to all hosts; None is
    unlimited. ``minute`` is how many seconds a minute of the latter two lasts; the limit of their
    ``api_windows`` and ``abuse_windows`` may be changed at any time. With ``slow_deletes`` the registry
    answers 500 to a manifest delete that it carries out all the same.
    """

    def __init__(
        self,
        *,
        ca: CertificateAuthority,
        namespace: str = "acme",
        username: str = "acme-bot",
        token: str = "dckr_pat_emulated",  # noqa: S107 - throw-away
        default_private: bool = False,
        referrers: Literal["none", "half", "full"] = "full",
        token_lifetime: float = 300,
        api_token_lifetime: float = 600,
        page_cap: int = 100,
        pull_limit: int | None = None,
        api_limit_per_minute: int | None = None,
        abuse_limit_per_minute: int | None = None,
        minute: float = 60,
        slow_deletes: bool = False,
        read_lag: float = 0.0,
        latency: float = 0.0,
        clock: Clock = utc_now,
        registry_port: int = 0,
        api_port: int = 0,
        auth_port: int = 0,
        cdn_port: int = 0,
    ) -> None:
        self.namespace, self.username, self.token = namespace, username, token
        self.state = RegistryState(clock=clock, read_lag=read_lag)
        self.traffic, self.faults = Traffic(), Faults()
        self.api_traffic, self.api_faults = Traffic(), Faults()
        self.auth_traffic, self.auth_faults = Traffic(), Faults()
        self.cdn_traffic, self.cdn_faults = Traffic(), Faults()
        self.hub = Hub(
            accounts=Accounts(),
            catalogue=HubCatalogue(state=self.state, default_private=default_private, clock=clock),
            registry_tokens=TokenIssuer(
                issuer="auth.docker.io", audience="registry.docker.io", lifetime=token_lifetime, clock=clock
            ),
            api_tokens=TokenIssuer(
                issuer="https://api.docker.com/",
                audience="https://hub.docker.com",
                lifetime=api_token_lifetime,
                clock=clock,
            ),
            page_cap=page_cap,
            clock=clock,
        )
        self.add_account(username, token, "repo:admin")

        def windows(limit: int | None, length: timedelta) -> FixedWindows | None:
            return None if limit is None else FixedWindows(limit=limit, length=length, clock=clock)

        self.abuse_windows = abuse = windows(abuse_limit_per_minute, timedelta(seconds=minute))

        def serve(app: ASGIApp, traffic: Traffic, faults: Faults, port: int) -> Server:
            if abuse is not None:
                app = AbuseLimit(app, windows=abuse, clock=clock)
            return Server(Edge(app, traffic=traffic, faults=faults, latency=latency), ca=ca, port=port)

        api = build_api(self.hub)
        self.api_windows = windows(api_limit_per_minute, timedelta(seconds=minute))
        if self.api_windows is not None:
            api = ApiLimit(api, windows=self.api_windows)
        api_server = serve(api, self.api_traffic, self.api_faults, api_port)
        auth_server = serve(build_auth(self.hub), self.auth_traffic, self.auth_faults, auth_port)
        cdn = BlobStorage(self.state.content, clock=clock)
        cdn_server = serve(cdn, self.cdn_traffic, self.cdn_faults, cdn_port)
        self._host = DockerHubHost(
            self.hub,
            auth_url=auth_server.url,
            sign_blob_url=cdn.url_for,
            pulls=windows(pull_limit, _PULL_WINDOW),
            referrers=referrers,
            slow_deletes=slow_deletes,
        )
        registry_server = serve(Distribution(self._host), self.traffic, self.faults, registry_port)
        self._servers = (cdn_server, auth_server, api_server, registry_server)

        cdn.base_url = self.cdn_url = cdn_server.url
        self._host.registry_url = registry_server.url
        self.registry = registry_server.netloc
        self.auth_url = auth_server.url
        self.api_url = api_server.url

    def add_account(
        self,
        username: str,
        secret: str,
        scopes: Scope | Collection[Scope],
        *,
        namespaces: Collection[str] | None = None,
    ) -> None:
        """Let a name sign in with one more secret; it reaches the emulator's namespace and its own."""
        account = Account(
            username=username,
            scope=widest_scope((scopes,) if isinstance(scopes, str) else scopes),
            namespaces=frozenset({self.namespace, username} if namespaces is None else namespaces),
            kind=kind_of_secret(secret),
        )
        self.hub.accounts.add(account, secret=secret)

    def remove_account(self, username: str) -> None:
        """Revoke all secrets of a name; tokens that it holds live on until they expire."""
        self.hub.accounts.remove(username)

    def repository(self, name: str) -> HubRepository:
        """Return the settings and counters of a repository such as ``acme/app``, made if it is missing."""
        self.state.create_repository(name)
        repository = self.hub.catalogue.find(name)
        if repository is None:
            raise LookupError(f"{name} was deleted meanwhile")
        return repository

    def set_immutable_tags(self, repository: str, regexes: Iterable[str]) -> None:
        """Refuse to push again the tags that an expression matches whole; all tags when there is none."""
        rules = tuple(re.compile(regex) for regex in regexes)
        self.repository(repository).immutable = ImmutableTags(enabled=True, rules=rules)

    def orphan_blob(self, repository: str, content: bytes) -> str:
        """Leave a blob behind that HEAD finds and a manifest PUT does not; return its digest.

        This is what a cancelled upload once left on Docker Hub; it heals when the blob is uploaded anew.
        """
        digest = self.state.put_blob(repository, content)
        self._host.orphans.add((repository, digest))
        return digest

    def start(self) -> None:
        """Return when all four ports accept connections."""
        for server in self._servers:
            server.start()

    def stop(self) -> None:
        """Free all four ports, side by side: each server takes a moment to notice."""
        with ThreadPoolExecutor(len(self._servers)) as pool:
            list(pool.map(Server.stop, self._servers))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
