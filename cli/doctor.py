"""The doctor: everything the app needs, looked at in turn, each with its remedy."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from cli.access import Access
from cli.checks.app import check_policy, check_settings, check_storage
from cli.checks.findings import Finding, failure
from cli.checks.hub import check_hub
from cli.checks.native import check_native, check_native_as_app
from cli.checks.registry import DELETING, PUSHING, READING, RegistryAccess, check_registry
from cli.exits import DONE, NO
from cli.output import Output
from cli.registries import Registries, is_azure
from cli.remedies import remedy
from cli.sentences import in_words
from cli.words import count
from shared.errors import StewardError
from shared.jobs.services import Services
from shared.oci.names import DOCKER_HUB, LoginServer
from shared.registry.credentials import ANONYMOUS, BasicCredential, Credential, EntraCredential
from shared.registry.transport import TransportOptions
from shared.replication.routes import Route

_INDENT: Final = 9
_COLOURS: Final = {"ok": "green", "warning": "yellow", "failure": "red"}


def examine(output: Output, servers: Sequence[LoginServer], *, settings: Path | None, access: Access) -> int:
    """Look at the registries named, or at everything that the app's settings name; print what was found."""
    findings: list[Finding] = []
    said = ""
    found = _registries(servers, access) if servers else _app(settings)
    for finding in found:
        findings.append(finding)
        if not output.json:
            _show(output, finding, said)
        said = finding.remedy or said
    failures = sum(finding.level == "failure" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    if output.json:
        output.document({"well": not failures, "findings": [each.to_json() for each in findings]})
    else:
        output.note(f"{len(findings)} looked at: {count(failures, 'failure')}, {count(warnings, 'warning')}")
    return NO if failures else DONE


def _show(output: Output, finding: Finding, said: str) -> None:
    if finding.level == "ok" and output.quiet:
        return
    text = f"{finding.level:7}  {finding.check}: {finding.text}"
    output.say_folded(text, indent=_INDENT, fg=_COLOURS[finding.level])
    if finding.remedy and finding.remedy != said:
        output.say(f"{' ' * _INDENT}{finding.remedy}")  # in one line, since it may be a command to copy


def _registries(servers: Sequence[LoginServer], access: Access) -> Iterator[Finding]:
    with Registries(access) as registries:
        for server in servers:
            options = registries.options(server)
            if server == DOCKER_HUB:
                credential = registries.credential(server)
                hub = registries.hub()
                name = credential.username if isinstance(credential, BasicCredential) else ""
                yield from check_hub(
                    hub,
                    credential,
                    namespaces=frozenset({name}),
                    endpoint=registries.base_url(server),
                    options=options,
                )
                continue
            try:
                client = registries.acr(server, purpose="be examined")
            except StewardError as error:
                yield failure(server, in_words(error), remedy(error))
                continue
            with closing(RegistryAccess(server, registries.credential(server), options)) as tokens:
                yield from check_registry(client, tokens, needed=READING | DELETING)
    yield from check_native([server for server in servers if is_azure(server)])


def _app(settings: Path | None) -> Iterator[Finding]:
    services, findings = check_settings(settings)
    yield from findings
    if services is None:
        return
    yield from check_policy(services)
    yield from check_storage(services)
    options = TransportOptions(
        ca_file=None if services.settings.ca_file is None else Path(services.settings.ca_file), tries=2
    )
    for server in services.settings.login_servers:
        access = RegistryAccess(server, _credential(services, server), options)
        with closing(access):
            yield from check_registry(
                services.registries.acr(server), access, needed=_needed(services, server)
            )
    seen = services.settings.resource_ids
    for server in seen:
        yield from check_native_as_app(services, server)
    others = [each for each in services.settings.login_servers if is_azure(each) and each not in seen]
    yield from check_native(others)
    yield from _hub(services, options)


def _needed(services: Services, server: LoginServer) -> frozenset[str]:
    """Return the rights that the app uses: deleting when that is switched on, pushing where routes go."""
    deletes = services.settings.cleanup_mode == "apply"
    is_target = any(template.registry == server for route in _routes(services) for template in route.targets)
    return READING | (DELETING if deletes else frozenset()) | (PUSHING if is_target else frozenset())


def _routes(services: Services) -> tuple[Route, ...]:
    try:
        return services.policy.current().replication.routes
    except StewardError:
        return ()


def _credential(services: Services, server: LoginServer) -> Credential:
    """Return the credential that the app uses for the registry."""
    settings = services.settings
    if server in settings.anonymous:
        return ANONYMOUS
    user = settings.credentials.get(server)
    if user is not None:
        return BasicCredential(username=user.username, secret=user.password.reveal())
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415 - slow

    if settings.client_id is None:
        return EntraCredential(tokens=DefaultAzureCredential())
    in_azure = "IDENTITY_ENDPOINT" in os.environ
    return EntraCredential(
        tokens=ManagedIdentityCredential(client_id=settings.client_id)
        if in_azure
        else DefaultAzureCredential()
    )


def _hub(services: Services, options: TransportOptions) -> Iterator[Finding]:
    hub, user = services.registries.docker_hub(), services.settings.docker_hub
    if hub is None or user is None:
        return
    namespaces = {
        str(template).removeprefix(f"{DOCKER_HUB}/").partition("/")[0]
        for route in _routes(services)
        for template in route.targets
        if template.registry == DOCKER_HUB
    }
    yield from check_hub(
        hub,
        BasicCredential(username=user.username, secret=user.password.reveal()),
        namespaces=frozenset(name for name in namespaces if "{" not in name) or frozenset({user.username}),
        endpoint=services.settings.docker_hub_registry,
        options=options,
    )
