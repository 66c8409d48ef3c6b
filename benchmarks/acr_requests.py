"""How many requests an operation on ACR costs, once somebody has signed in."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from azure.containerregistry import ContainerRegistryClient
from azure.core.credentials import AccessToken

from benchmarks.figures import Figure, Target
from emulators.acr import AcrEmulator
from emulators.certificates import CertificateAuthority
from emulators.entra import EntraIssuer
from emulators.registry.images import build_image
from shared.oci.names import Digest, LoginServer, RepositoryName, TagName
from shared.registry.acr import AcrClient
from shared.registry.credentials import EntraCredential
from shared.registry.transport import TransportOptions

_REPOSITORY = RepositoryName("team/app")
_CLIENT_ID = "11111111-2222-3333-4444-555555555555"


class _Identity:
    """An Entra identity that the emulator trusts."""

    def __init__(self, issuer: EntraIssuer) -> None:
        self._issuer = issuer

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(self._issuer.issue(_CLIENT_ID, scopes[0]), int(time.time()) + 3600)


def time_requests_per_operation(*, quick: bool) -> Iterator[Figure]:
    """Do the same operations with our client and with the package alone, and count what arrives."""
    del quick
    with ExitStack() as running:
        ca = running.enter_context(CertificateAuthority())
        acr = running.enter_context(AcrEmulator(ca=ca))
        acr.grant(_CLIENT_ID, "Contributor")
        ours = running.enter_context(
            AcrClient(
                LoginServer(acr.login_server),
                EntraCredential(tokens=_Identity(acr.trusted_issuer)),
                options=TransportOptions(ca_file=ca.ca_file),
            )
        )
        plain = running.enter_context(
            ContainerRegistryClient(acr.url, _Identity(acr.trusted_issuer), connection_verify=str(ca.ca_file))
        )
        ours.expect([_REPOSITORY], "metadata_read", "metadata_write", "delete")
        counts = _count(acr, _our_operations(ours))
        beside = _count(acr, _plain_operations(plain))
    for operation, count in counts.items():
        yield Figure(
            what=f"requests to {operation} / azure-containerregistry alone",
            unit="requests",
            ours=count,
            reference=beside[operation],
            target=Target(bound=1, of="ours"),
        )


type _Operation = Callable[[Digest, TagName], object]


def _our_operations(client: AcrClient) -> Mapping[str, _Operation]:
    return {
        "look at a tag": lambda _, tag: client.tag_attributes(_REPOSITORY, tag),
        "look at a manifest": lambda digest, _: client.manifest_attributes(_REPOSITORY, digest),
        "lock a tag": lambda _, tag: client.set_lock(_REPOSITORY, tag, delete_enabled=True),
        "untag": lambda _, tag: client.untag(_REPOSITORY, tag),
        "delete a manifest": lambda digest, _: client.delete_manifest(_REPOSITORY, digest),
    }


def _plain_operations(client: ContainerRegistryClient) -> Mapping[str, _Operation]:
    return {
        "look at a tag": lambda _, tag: client.get_tag_properties(_REPOSITORY, tag),
        "look at a manifest": lambda digest, _: client.get_manifest_properties(_REPOSITORY, digest),
        "lock a tag": lambda _, tag: client.update_tag_properties(_REPOSITORY, tag, can_delete=True),
        "untag": lambda _, tag: client.delete_tag(_REPOSITORY, tag),
        "delete a manifest": lambda digest, _: client.delete_manifest(_REPOSITORY, digest),
    }


def _count(acr: AcrEmulator, operations: Mapping[str, _Operation]) -> dict[str, int]:
    """Do each operation once to sign in, then once more on another image, and count the second."""
    counts: dict[str, int] = {}
    for operation, act in operations.items():
        for number in (1, 2):
            tag = TagName(f"v{number}")
            digest = Digest(build_image().push_to(acr.state, _REPOSITORY, tag=tag))
            acr.traffic.clear()
            act(digest, tag)
            counts[operation] = len(acr.traffic.requests)
    return counts
