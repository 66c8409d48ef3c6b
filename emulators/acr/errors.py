"""The error bodies of Azure Container Registry, as seen on the wire."""

from __future__ import annotations

from emulators.registry.wire import WireError

_DISALLOWED = (
    "The operation is disallowed on this registry, repository or image. View troubleshooting steps at "
    "https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation"
)
_TOO_MANY = (
    "Too many requests. Please visit https://aka.ms/acr/skus#sku-feature-matrix to view limits of all "
    "service tiers."
)
AUTHENTICATION_REQUIRED = (
    "authentication required, visit https://aka.ms/acr/authorization for more information."
)


def unknown_repository(name: str) -> WireError:
    return WireError(404, "NAME_UNKNOWN", f'repository "{name}" is not found')


def unknown_tag() -> WireError:
    """Azure/azure-sdk-for-net #36381."""
    return WireError(404, "TAG_UNKNOWN", "the specified tag does not exist")


def unknown_manifest(reference: str) -> WireError:
    if ":" in reference:
        return WireError(404, "MANIFEST_UNKNOWN", f"manifest {reference} is not found")
    message = f'manifest tagged by "{reference}" is not found'
    return WireError(404, "MANIFEST_UNKNOWN", message, {"Tag": reference})


def locked() -> WireError:
    """Azure/acr-cli #70."""
    return WireError(405, "REGISTRY_DISALLOWED_OPERATION", _DISALLOWED, {})


def too_many_requests(retry_after: int) -> WireError:
    return WireError(429, "TOOMANYREQUESTS", _TOO_MANY, headers={"Retry-After": str(retry_after)})


def unauthorized(message: str = AUTHENTICATION_REQUIRED) -> WireError:
    """Refuse at the token endpoints, which have no challenge to offer."""
    return WireError(401, "UNAUTHORIZED", message)


def invalid_request(message: str) -> WireError:
    return WireError(400, "INVALID_REQUEST", message)


def unsupported() -> WireError:
    return WireError(405, "UNSUPPORTED", "The operation is unsupported.")
