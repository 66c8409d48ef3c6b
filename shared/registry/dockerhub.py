"""Docker Hub's own API: what its registry has no words for. Images go through :class:`RegistryClient`."""

import json
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import quote, urljoin

from shared.errors import AccessDenied, ContentRejected, InvalidName, ProtocolViolation
from shared.oci.names import DOCKER_HUB, RepositoryName, TagName
from shared.registry.credentials import BasicCredential
from shared.registry.dockerhub_records import (
    HubManifest,
    HubRepository,
    HubTag,
    read_manifests,
    read_repositories,
    read_repository,
    read_tag,
    read_tags,
)
from shared.registry.sign_in import REFUSED_SECRET, SignIn
from shared.registry.token_flows import Send, hub_flow, run_flow
from shared.registry.tokens import Token, TokenCache
from shared.registry.transport import Transport, TransportOptions
from shared.registry.wire import follow_pages, json_object

DOCKER_HUB_API: Final = "https://hub.docker.com"
_PAGE_SIZE: Final = 100
_MOST_PAGES: Final = 2000
_LISTED_OR_UNKNOWN: Final = frozenset({200, 400, 403, 404, 405, 410, 501})
_FOUND_OR_NOT: Final = frozenset({200, 404})
_CREATED: Final = frozenset({200, 201})
_DELETED_OR_GONE: Final = frozenset({200, 202, 204, 404})


class HubAuthenticator:
    """Authenticates to the Hub API by tokens of ten minutes; a wrong secret is sent once in ten minutes."""

    def __init__(
        self,
        credential: BasicCredential,
        *,
        api_url: str,
        send: Send,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credential = credential
        self._place = urljoin(api_url, "/v2/auth/token")
        self._send = send
        self._clock = clock
        self._tokens: TokenCache[str] = TokenCache(clock)
        self._sign_in = SignIn(REFUSED_SECRET, clock)

    def token_for(self, method: str, url: str) -> Token:
        """Return the one token that serves every request."""
        del method, url
        return self._tokens.get("api", lambda: self._sign_in(self._fetch))

    def token_after(self, method: str, url: str, *, refused: Token | None, challenge: str) -> Token:
        """Return a new token in place of the refused one."""
        del challenge
        if refused is not None:
            self._tokens.drop(refused)
        return self.token_for(method, url)

    def _fetch(self) -> Token:
        flow = hub_flow(self._place, self._credential, self._clock)
        return run_flow(flow, self._send, registry=DOCKER_HUB)


class DockerHubClient:
    """Repositories and tags of Docker Hub as its API sees them; safe to share between threads.

    The credential is a user name with a password or access token, or an organization's name with one of
    its tokens. Creating and deleting need a token that may read, write and delete.
    """

    def __init__(
        self,
        credential: BasicCredential,
        *,
        api_url: str = DOCKER_HUB_API,
        options: TransportOptions | None = None,
    ) -> None:
        """Prepare the client; nothing is sent before the first request."""

        def authenticate(send: Send) -> HubAuthenticator:
            return HubAuthenticator(credential, api_url=api_url, send=send)

        self._transport = Transport(
            registry=DOCKER_HUB,
            base_url=api_url,
            options=options or TransportOptions(),
            authenticate=authenticate,
        )

    def list_repositories(self, namespace: str) -> Iterator[HubRepository]:
        """Yield the repositories of a namespace that the credential may see."""
        first = f"/v2/namespaces/{quote(namespace, safe='')}/repositories?page_size={_PAGE_SIZE}"
        return self._listed(first, lambda items: read_repositories(items, namespace=namespace))

    def find_repository(self, name: RepositoryName) -> HubRepository | None:
        """Return the repository, ``None`` when it does not exist or is not ours to see."""
        response = self._transport.request("GET", _place(name), expect=_FOUND_OR_NOT)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        item = json_object(response, registry=DOCKER_HUB)
        return self._read(lambda: read_repository(item, namespace=name.partition("/")[0]))

    def list_tags(self, name: RepositoryName) -> Iterator[HubTag]:
        """Yield the tags; none for a repository that does not exist.

        The API counts pages by offset: whoever deletes must list to the end first.
        """
        return self._listed(f"{_place(name)}/tags?page_size={_PAGE_SIZE}", read_tags)

    def find_tag(self, name: RepositoryName, tag: TagName) -> HubTag | None:
        """Return the tag as it is now, ``None`` when it does not exist."""
        response = self._transport.request("GET", f"{_place(name)}/tags/{tag}", expect=_FOUND_OR_NOT)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        item = json_object(response, registry=DOCKER_HUB)
        return self._read(lambda: read_tag(item))

    def list_manifests(self, name: RepositoryName) -> list[HubManifest] | None:
        """Return all manifests, untagged ones too; ``None`` where Docker Hub does not offer the list.

        It is not documented, and counts on by the last key of a page (docker/roadmap #795).
        """
        found: list[HubManifest] = []
        last: str | None = None
        for _ in range(_MOST_PAGES):
            query = f"?page_size={_PAGE_SIZE}" + (
                f"&last_evaluated_key={quote(last, safe='')}" if last else ""
            )
            response = self._transport.request(
                "GET", f"{_place(name)}/manifests{query}", expect=_LISTED_OR_UNKNOWN
            )
            if response.status_code != HTTPStatus.OK:
                return None
            document = json_object(response, registry=DOCKER_HUB)
            items, following = document.get("manifests") or [], document.get("last_evaluated_key")
            if not isinstance(items, list):
                raise ProtocolViolation("manifests is not a list", registry=DOCKER_HUB)
            found.extend(read_manifests(items))
            if not isinstance(following, str) or not following or following == last:
                return found
            last = following
        raise ProtocolViolation(f"the list has more than {_MOST_PAGES} pages", registry=DOCKER_HUB)

    def create_repository(self, name: RepositoryName, *, private: bool = True, description: str = "") -> bool:
        """Create the repository, private unless said otherwise; ``False`` when it was already there.

        A push would create it, too, with the default visibility of the account, which is public
        unless somebody changed it (docker/hub-feedback #346).
        """
        namespace, short = _split(name)
        document = {
            "namespace": namespace,
            "name": short,
            "registry": "docker.io",
            "is_private": private,
            "description": description,
        }
        try:
            self._transport.request(
                "POST",
                f"/v2/namespaces/{quote(namespace, safe='')}/repositories",
                headers={"Content-Type": "application/json"},
                body=json.dumps(document).encode(),
                expect=_CREATED,
            )
        except (ContentRejected, AccessDenied):
            if self.find_repository(name) is None:  # how a duplicate is refused is not documented
                raise
            return False
        return True

    def delete_tag(self, name: RepositoryName, tag: TagName) -> bool:
        """Remove the tag; ``False`` when it was already gone."""
        url = f"/v2/repositories/{name}/tags/{tag}/"
        response = self._transport.request("DELETE", url, expect=_DELETED_OR_GONE)
        return response.status_code != HTTPStatus.NOT_FOUND

    def delete_repository(self, name: RepositoryName) -> bool:
        """Delete the repository with all that is in it; ``False`` when it was already gone."""
        _split(name)
        response = self._transport.request("DELETE", f"/v2/repositories/{name}/", expect=_DELETED_OR_GONE)
        return response.status_code != HTTPStatus.NOT_FOUND

    def _listed[Item](self, first: str, read: Callable[[list[Any]], Iterator[Item]]) -> Iterator[Item]:
        def fetch(url: str) -> tuple[Iterator[Item], str | None]:
            response = self._transport.request("GET", url, expect=_FOUND_OR_NOT)
            if response.status_code == HTTPStatus.NOT_FOUND:  # also of a page behind the last one
                return iter(()), None
            document = json_object(response, registry=DOCKER_HUB)
            items, following = document.get("results") or [], document.get("next")
            if not isinstance(items, list):
                raise ProtocolViolation("results is not a list", registry=DOCKER_HUB)
            return read(items), following if isinstance(following, str) and following else None

        pages = follow_pages(
            self._transport.url(first), fetch, registry=DOCKER_HUB, home=self._transport.home
        )
        return (item for page in pages for item in page)

    def _read[Item](self, read: Callable[[], Item]) -> Item:
        try:
            return read()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolViolation(f"the answer cannot be read: {error}", registry=DOCKER_HUB) from error

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _split(name: RepositoryName) -> tuple[str, str]:
    """Return namespace and name.

    :raises InvalidName: unless there are exactly two components, which is all that Docker Hub has.
    """
    namespace, slash, short = name.partition("/")
    if not slash or "/" in short:
        raise InvalidName(f"{name!r} is not a Docker Hub repository: expected namespace/name")
    return namespace, short


def _place(name: RepositoryName) -> str:
    namespace, short = _split(name)
    return f"/v2/namespaces/{namespace}/repositories/{short}"
