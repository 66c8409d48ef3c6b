from pathlib import Path

import click

from cli.access import Access, access_options
from cli.options import at_option, policy_option, registry_option, times_options, yes_option
from cli.output import Output
from cli.verbs import verb
from shared.oci.names import LoginServer


@verb(
    examples=(
        "steward clean --registry myreg.azurecr.io --policy policy.yaml",
        "steward clean team/app --registry myreg.azurecr.io --policy policy.yaml --yes --json",
    ),
    shape='as plan, and in each repository "outcomes": [{"action", "target", "result", "at", "detail"}], '
    '"counts": {...}',
)
@click.argument("repositories", nargs=-1, metavar="[REPOSITORY]...")
@registry_option
@policy_option
@at_option
@times_options
@yes_option
@access_options
def clean(
    output: Output,
    *,
    repositories: tuple[str, ...],
    registry: LoginServer | None,
    policy: Path,
    at: str | None,
    settings: Path | None,
    own_times: bool,
    yes: bool,
    access: Access,
) -> int:
    """Remove what a policy no longer wants, after showing the plan and asking.

    Every tag and manifest is looked at once more before it goes. What a limit of the policy refuses stays,
    and Ctrl-C stops after what is under way; run it again to go on.
    """
    from cli.appsettings import environment
    from cli.cleanable import Times
    from cli.cleaning import clean_registry
    from cli.output import require_terminal
    from cli.places import registry_of
    from cli.registries import Registries

    require_terminal(yes=yes)
    server = registry_of(registry, repositories)
    times = Times(settings=settings, own=own_times)
    with Registries(access, environ=environment(settings)) as registries:
        return clean_registry(output, registries, server, policy, repositories, at=at, times=times, yes=yes)
