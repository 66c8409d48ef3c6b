"""The operations that ``azure-containerregistry`` serves well, on our transport.

The package signs in anew for every call, four requests for each, and reads a 404 on delete as success. On
our transport it does neither: our token is on the request before it leaves, and every status that is no
success is raised as our error before the package sees it. See ``docs/decisions``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from azure.containerregistry import ContainerRegistryClient
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.pipeline.transport import RequestsTransport

from shared.errors import NotFound, ProtocolViolation
from shared.oci.names import Digest, RepositoryName, TagName
from shared.registry.acr_attributes import RepositoryAttributes
from shared.registry.transport import Transport
from shared.registry.wire import error_of

_SUCCESS: Final = range(200, 300)


class _OurTransport(RequestsTransport):  # type: ignore[misc] # azure-core loads it lazily, untyped
    """Sends the package's requests over our session and raises our errors for all that is no success."""

    def __init__(self, transport: Transport) -> None:
        options = transport.options
        super().__init__(
            session=transport.session,
            session_owner=False,
            use_env_settings=False,
            connection_timeout=options.connect_timeout,
            read_timeout=options.read_timeout,
            connection_verify=True if options.ca_file is None else str(options.ca_file),
        )
        self._registry = transport.registry

    def send(self, request: Any, **kwargs: Any) -> Any:
        response: Any = super().send(request, **kwargs)
        if response.status_code in _SUCCESS:
            return response
        raise error_of(
            registry=self._registry,
            method=request.method,
            url=request.url,
            status=response.status_code,
            headers=response.headers,
            body=response.content,
        )


class AcrOperations:
    """Single operations on repositories, tags and manifests: one HTTP request each."""

    def __init__(self, transport: Transport) -> None:
        self._registry = transport.registry
        nothing: Any = SansIOHTTPPolicy()
        self._sdk = ContainerRegistryClient(
            transport.base_url,
            credential=None,
            transport=_OurTransport(transport),
            retry_policy=nothing,
            redirect_policy=nothing,
            http_logging_policy=nothing,
            user_agent_policy=nothing,
        )

    def repository_attributes(self, name: RepositoryName) -> RepositoryAttributes:
        """Return the repository's attributes.

        :raises NotFound: when it does not exist.
        """
        with self._reading():
            found = self._sdk.get_repository_properties(name)
            return RepositoryAttributes(
                name=name,
                created=_aware(found.created_on),
                updated=_aware(found.last_updated_on),
                manifest_count=found.manifest_count or 0,
                tag_count=found.tag_count or 0,
                delete_enabled=found.can_delete is not False,
                write_enabled=found.can_write is not False,
            )

    def delete_repository(self, name: RepositoryName) -> bool:
        """Delete the repository with all that is in it; ``False`` when it was already gone."""
        try:
            self._sdk.delete_repository(name)
        except NotFound:
            return False
        return True

    def set_lock(
        self,
        name: RepositoryName,
        target: TagName | Digest | None,
        *,
        delete_enabled: bool | None,
        write_enabled: bool | None,
    ) -> None:
        """Change what may be done to a tag, a manifest or the repository; ``None`` leaves a flag as it is.

        :raises NotFound: when the target does not exist.
        """
        flags = {"can_delete": delete_enabled, "can_write": write_enabled}
        if target is None:
            self._sdk.update_repository_properties(name, **flags)
        elif ":" in target:
            self._sdk.update_manifest_properties(name, target, **flags)
        else:
            self._sdk.update_tag_properties(name, target, **flags)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what the package trips over, such as bodies without attributes or text, into our error."""
        try:
            yield
        except (AttributeError, TypeError, ValueError, AzureError) as error:
            raise ProtocolViolation(
                f"the answer is not what ACR documents: {type(error).__name__}: {error}",
                registry=self._registry,
            ) from error


def _aware(moment: datetime | None) -> datetime:
    if moment is None:
        raise AttributeError("a time is missing")
    return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
