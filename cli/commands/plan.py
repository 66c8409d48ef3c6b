from pathlib import Path

import click

from cli.access import Access, access_options
from cli.options import at_option, policy_option, registry_option, times_options
from cli.output import Output
from cli.verbs import verb
from shared.oci.names import LoginServer


@verb(
    examples=(
        "steward plan --registry myreg.azurecr.io --policy policy.yaml",
        "steward plan team/app 'web/*' --registry myreg.azurecr.io --policy policy.yaml -v",
        "steward plan --registry myreg.azurecr.io --policy policy.yaml --at 2027-01-01 --json",
        "steward plan docker.io/acme/app --policy policy.yaml --settings local.settings.json",
    ),
    shape='{"registry", "at", "policy_digest", "repositories": [{"repository", '
    '"untag": [{"tag", "digest", "rule", "reason"}], "delete": [{"digest", "rule", "reason"}], '
    '"keep": [{"tag" or "digest", "rule", "reason"}], "warnings": [], "refused": null or {...}}]}',
)
@click.argument("repositories", nargs=-1, metavar="[REPOSITORY]...")
@registry_option
@policy_option
@at_option
@times_options
@access_options
def plan(
    output: Output,
    *,
    repositories: tuple[str, ...],
    registry: LoginServer | None,
    policy: Path,
    at: str | None,
    settings: Path | None,
    own_times: bool,
    access: Access,
) -> int:
    """Say what a policy would remove, and why; nothing is removed.

    Without a REPOSITORY, a name or a glob, every repository that a rule names is looked at.
    """
    from cli.appsettings import environment
    from cli.cleanable import Times
    from cli.places import registry_of
    from cli.plandocument import plans_document
    from cli.planning import make_plans, moment, read_policy
    from cli.planview import show_failures, show_plans
    from cli.registries import Registries

    server, when = registry_of(registry, repositories), moment(at)
    times = Times(settings=settings, own=own_times)
    document = read_policy(policy)
    with Registries(access, environ=environment(settings)) as registries:
        planned = make_plans(registries, server, document, repositories, at=when, times=times, output=output)
    if output.json:
        output.document(plans_document(planned))
    else:
        show_plans(output, planned, complete=not repositories and not planned.failures)
    show_failures(output, planned)
    return planned.exit_code
