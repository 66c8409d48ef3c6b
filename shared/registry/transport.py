"""The one stack that every request to a registry goes through, on one :class:`requests.Session` each.

From the outside in: authorization, retry, pacing, counting, destinations, identification, logs, bounded
bodies, the connection pool. Retry is here and nowhere else; above it there is only the queue.

The session takes nothing from the environment (``trust_env`` is off): a ``.netrc`` could put foreign
credentials on a redirect, and ``REQUESTS_CA_BUNDLE`` could replace the trust that the settings ask for.
A proxy, where one is needed, is an option like the others.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Final, Protocol, cast
from urllib.parse import urljoin

import requests
from requests.structures import CaseInsensitiveDict

from shared.errors import ProtocolViolation
from shared.registry.addresses import Origin, is_loopback, origin_of
from shared.registry.auth import Authenticator, Authorization
from shared.registry.connections import ConnectionPool
from shared.registry.counting import Counting, sleep_counted
from shared.registry.layers import Boundary, BoundedBodies, Identification, Layer, Logging, SlicedBodies
from shared.registry.pacing import Paces, Pacing
from shared.registry.redaction import redact
from shared.registry.retry import Retry
from shared.registry.token_flows import Send
from shared.registry.wire import check

VERSION: Final = "0.1.0"
USER_AGENT: Final = f"registry-steward/{VERSION}"
_MAX_REDIRECTS: Final = 5
_OK: Final = frozenset({200})
_REDIRECTED: Final = frozenset({"GET", "HEAD"})
_is_normal: Final = re.compile(
    r"https?://[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d+)?(?:/(?!\.)(?:[\w.~@:-]|%2F|%3A)*)+(?:\?(?:[\w.~@:/&=,+-]|%2F|%3A)+)?",
    re.ASCII,
).fullmatch
"""URLs that preparing would not change."""
_USUAL_HEADERS: Final = requests.utils.default_headers()


class Body(Protocol):
    """A request body that knows its length and is sent piece by piece."""

    def __len__(self) -> int:
        """Return the number of bytes."""

    def __iter__(self) -> Iterator[bytes]:
        """Return the pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """How registries are called; the same for every registry of an app, but for the paces.

    A registry may take ``commit_timeout`` to answer the end of an upload, because it reads all of it again.
    ``threads`` sizes both the thread pools that work on one registry and its connection pool. ``patience``
    is the longest time in seconds that one request spends on waiting before the queue takes over. A delete
    waits no longer than ``delete_patience``: whoever asks for one looked right before that nothing needs what
    goes, and has to look again after a wait.
    """

    ca_file: Path | None = None
    threads: int = 16
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    commit_timeout: float = 300.0
    tries: int = 5
    patience: float = 45.0
    delete_patience: float = 2.0
    backoff: float = 0.5
    paces: Paces | None = None
    proxies: Mapping[str, str] = field(default_factory=dict)
    user_agent: str = USER_AGENT
    headers: Mapping[str, str] = field(default_factory=dict)


class RegistrySession(requests.Session):
    """A session whose redirects never carry a credential and that ignores cookies and the environment."""

    def __init__(self, stack: Layer, options: TransportOptions) -> None:
        super().__init__()
        self.trust_env = False
        self.max_redirects = _MAX_REDIRECTS
        self.verify = True if options.ca_file is None else str(options.ca_file)
        self.proxies = dict(options.proxies)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.mount("http://", stack)
        self.mount("https://", stack)

    def should_strip_auth(self, old_url: str, new_url: str) -> bool:
        """Tell that no credential follows a redirect: the authorization layer knows where one belongs."""
        del old_url, new_url
        return True


class Transport:
    """Sends requests to one registry and returns the expected answers; all others are our errors."""

    def __init__(
        self,
        *,
        registry: str,
        base_url: str,
        options: TransportOptions,
        authenticate: Callable[[Send], Authenticator] | None = None,
    ) -> None:
        """Prepare the stack; nothing is sent before the first request."""
        self.registry = registry
        self.home: Origin = origin_of(base_url)
        if self.home.scheme != "https" and not is_loopback(self.home.host):
            raise ValueError(f"{registry}: plain http is for loopback only, not for {self.home}")
        self.base_url = str(self.home)
        self.options = options
        self._timeout = (options.connect_timeout, options.read_timeout)
        self._unhurried = (options.connect_timeout, options.commit_timeout)
        reliable = self._reliable_stack()
        self._signing_in = RegistrySession(reliable, options)
        stack: Layer = reliable
        if authenticate is not None:
            authenticator = authenticate(self._sign_in)
            stack = Authorization(reliable, registry=registry, home=self.home, authenticator=authenticator)
        self._stack = stack
        self.session = RegistrySession(stack, options)

    def _reliable_stack(self) -> Layer:
        options, registry, home = self.options, self.registry, self.home
        pool = ConnectionPool(home, registry=registry, threads=options.threads)
        bounded = BoundedBodies(SlicedBodies(pool), registry=registry)
        logged = Logging(bounded, registry=registry)
        identified = Identification(logged, home=home, user_agent=options.user_agent, headers=options.headers)
        fenced = Boundary(identified, registry=registry, home=home)
        paced = Pacing(
            Counting(fenced, home=home),
            registry=registry,
            home=home,
            paces=options.paces or {},
            patience=options.patience,
            delete_patience=options.delete_patience,
            sleep=sleep_counted,
        )
        return Retry(
            paced,
            registry=registry,
            tries=options.tries,
            patience=options.patience,
            delete_patience=options.delete_patience,
            backoff=options.backoff,
            sleep=sleep_counted,
        )

    def url(self, path: str) -> str:
        """Return the absolute URL of a path of the registry."""
        if path.startswith("/") and not path.startswith("//"):
            return self.base_url + path
        return urljoin(self.base_url, path)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Body | None = None,
        stream: bool = False,
        expect: frozenset[int] = _OK,
        unhurried: bool = False,
    ) -> requests.Response:
        """Return the answer to a request, given by path or absolute URL, if its status is expected.

        Only what reads is redirected. A streamed answer is the caller's to close. ``unhurried`` gives the
        registry the time that the end of an upload takes.

        :raises RegistryError: for any other status, and when there is no answer.
        """
        options: dict[str, Any] = {
            "stream": stream,
            "timeout": self._unhurried if unhurried else self._timeout,
            "verify": self.session.verify,
            "cert": None,
            "proxies": self.session.proxies,
        }
        try:
            prepared = _prepared(method, self.url(url), headers or {}, body)
            response = self._stack.send(prepared, **options)
            if response.is_redirect and method in _REDIRECTED:
                response = self._follow(response, prepared, **options)
        except requests.RequestException as error:  # what is raised outside the stack: redirects, URLs
            raise ProtocolViolation(
                f"it cannot be followed: {type(error).__name__}",
                registry=self.registry,
                method=method,
                url=redact(url),
            ) from error
        return check(response, registry=self.registry, expect=expect)

    def _follow(
        self, response: requests.Response, prepared: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        """Return the answer at the end of the redirects."""
        prepared.prepare_cookies({})
        for answer in self.session.resolve_redirects(response, prepared, **options):
            response = answer
        return response

    def _sign_in(self, request: requests.Request) -> requests.Response:
        """Send a request to a token service: no authorization of ours, no redirect."""
        prepared = self._signing_in.prepare_request(request)
        settings = self._signing_in.merge_environment_settings(prepared.url or "", {}, False, None, None)
        return self._signing_in.send(prepared, **settings, timeout=self._timeout, allow_redirects=False)

    def close(self) -> None:
        """Close the connections."""
        self.session.close()
        self._signing_in.close()


def _prepared(
    method: str, url: str, headers: Mapping[str, str], body: bytes | Body | None
) -> requests.PreparedRequest:
    """Return the request as ``Session.prepare_request`` would, without cookies, hooks and the environment.

    That is half of the time that a request takes before it is sent, and a run sends a hundred thousand.
    """
    prepared = requests.PreparedRequest()
    prepared.method = method
    if _is_normal(url):
        prepared.url = url
    else:
        prepared.prepare_url(url, None)
    prepared.headers = CaseInsensitiveDict(_USUAL_HEADERS)
    prepared.headers.update(headers)
    prepared.prepare_body(cast("Any", body), None)
    return prepared
