"""Docker Hub: the sign-in, the token's rights, and what is left of the pull rate limit."""

from collections.abc import Iterator
from typing import Final

from cli.checks.findings import Finding, failure, ok, tried, warning
from cli.remedies import remedy
from cli.sentences import in_words
from cli.words import count
from shared.errors import AuthenticationFailed, RegistryError
from shared.oci.names import DOCKER_HUB
from shared.registry.addresses import Origin, origin_of
from shared.registry.credentials import Credential
from shared.registry.dockerhub import DockerHubClient
from shared.registry.registry_auth import RegistryAuthenticator
from shared.registry.token_flows import Send
from shared.registry.transport import Transport, TransportOptions

_PREVIEW: Final = "/v2/ratelimitpreview/test/manifests/latest"
"""The image that Docker names for this question; its HEAD is no pull ("Docker Hub usage and limits")."""

_ANY_ANSWER: Final = frozenset(range(200, 500))
_FEW: Final = 10


def check_hub(
    client: DockerHubClient,
    credential: Credential,
    *,
    namespaces: frozenset[str],
    endpoint: str,
    options: TransportOptions,
) -> Iterator[Finding]:
    """Yield whether the API and the registry take the credential, and the limits that they tell of."""
    for namespace in sorted(namespaces):
        yield from tried(
            "docker.io",
            lambda namespace=namespace: _listed(client, namespace),  # type: ignore[misc]
            remedy,
        )
    holder: list[RegistryAuthenticator] = []
    home: Origin = origin_of(endpoint)

    def authenticate(send: Send) -> RegistryAuthenticator:
        holder.append(RegistryAuthenticator(registry=DOCKER_HUB, home=home, credential=credential, send=send))
        return holder[0]

    transport = Transport(registry=DOCKER_HUB, base_url=endpoint, options=options, authenticate=authenticate)
    try:
        yield _limits(transport)
        for namespace in sorted(namespaces):
            url = f"{home}/v2/{namespace}/steward-doctor/manifests/x"
            token = holder[0].token_for("PUT", url)
            granted = "nothing" if token is None else token.granted
            if "push" in granted:
                yield ok("docker.io", f"may push to {namespace}")
            elif granted.startswith("unknown"):
                yield ok("docker.io", f"whether it may push to {namespace} is not said by its token")
            else:
                yield failure(
                    "docker.io",
                    f"may not push to {namespace}: the token grants {granted}",
                    "make DOCKERHUB_TOKEN a token with read, write and delete rights of an account "
                    f"that may write to {namespace}",
                )
    except RegistryError as error:
        yield failure("docker.io", in_words(error), remedy(error))
    finally:
        transport.close()


def _listed(client: DockerHubClient, namespace: str) -> str:
    number = sum(1 for _ in client.list_repositories(namespace))
    return f"signed in; {namespace} has {count(number, 'repository', 'repositories')}"


def _limits(transport: Transport) -> Finding:
    """Read ``100;w=21600``: so many pulls in so many seconds."""
    try:
        headers = transport.request("HEAD", _PREVIEW, expect=_ANY_ANSWER).headers
    except AuthenticationFailed:
        return ok("docker.io", "no pull rate limit is told of")
    left = headers.get("RateLimit-Remaining", "").partition(";")[0]
    if not left.isdigit():
        return ok("docker.io", "no pull rate limit is told of")
    total, _, window = headers.get("RateLimit-Limit", "").partition(";w=")
    hours = f" in {int(window) // 3600} hours" if window.isdigit() else ""
    text = f"{left} of {total or '?'} pulls left{hours}"
    if int(left) > _FEW:
        return ok("docker.io", text)
    return warning("docker.io", text, "wait, or sign in with an account that has a higher limit")
