from pathlib import Path

import click

from cli.access import Access, access_options
from cli.options import at_option, policy_option, registry_option
from cli.output import Output
from cli.verbs import verb
from shared.oci.names import LoginServer


@verb(
    examples=(
        "steward plan --registry myreg.azurecr.io --policy policy.yaml",
        "steward plan team/app 'web/*' --registry myreg.azurecr.io --policy policy.yaml -v",
        "steward plan --registry myreg.azurecr.io --policy policy.yaml --at 2027-01-01 --json",
    ),
    shape='{"registry", "at", "policy_digest", "repositories": [{"repository", '
    '"untag": [{"tag", "digest", "rule", "reason"}], "delete": [{"digest", "size", "rule", "reason"}], '
    '"keep": [{"tag" or "digest", "rule", "reason"}], "warnings": [], "refused": null or {...}}]}',
)
@click.argument("repositories", nargs=-1, metavar="[REPOSITORY]...")
@registry_option
@policy_option
@at_option
@access_options
def plan(
    output: Output,
    *,
    repositories: tuple[str, ...],
    registry: LoginServer,
    policy: Path,
    at: str | None,
    access: Access,
) -> int:
    """Say what a policy would remove, and why; nothing is removed.

    Without a REPOSITORY, a name or a glob, every repository that a rule names is looked at.
    """
    from cli.planning import make_plans, moment, read_policy
    from cli.planview import show_failures, show_plans
    from cli.registries import Registries
    from shared.render import plans_to_json

    when = moment(at)
    document = read_policy(policy)
    with Registries(access) as registries:
        planned = make_plans(registries, registry, document, repositories, at=when, output=output)
    if output.json:
        output.document(
            plans_to_json(planned.plans, registry=registry, at=when, policy_digest=document.digest)
        )
    else:
        show_plans(output, planned, complete=not repositories and not planned.failures)
    show_failures(output, planned)
    return planned.exit_code
