from pathlib import Path

import click

from cli.access import Access, access_options
from cli.options import at_option, policy_option, times_options
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=(
        "steward explain myreg.azurecr.io/team/app:v1.2 --policy policy.yaml",
        "steward explain myreg.azurecr.io/team/app@sha256:2c26b46b... --policy policy.yaml",
        "steward explain docker.io/acme/app:v1.2 --policy policy.yaml --settings local.settings.json",
    ),
    shape='{"registry", "repository", "at", "policy_digest", '
    '"tag": null or {"tag", "digest", "keep", "rule", "reason"}, '
    '"manifest": null or {"digest", "keep", "rule", "reason"}, '
    '"tags": [{"tag", "keep", "rule", "reason"}], "held_by": ["sha256:..."], '
    '"subject": null or "sha256:...", "holds": ["sha256:..."], "warnings": [], "refused": null or {...}}',
)
@click.argument("reference")
@policy_option
@at_option
@times_options
@access_options
def explain(
    output: Output,
    *,
    reference: str,
    policy: Path,
    at: str | None,
    settings: Path | None,
    own_times: bool,
    access: Access,
) -> int:
    """Say why one tag or manifest stays or goes.

    REFERENCE is a tag or a digest, registry included.
    """
    from cli.appsettings import environment
    from cli.cleanable import Times
    from cli.explaining import explain_reference
    from cli.registries import Registries

    times = Times(settings=settings, own=own_times)
    with Registries(access, environ=environment(settings)) as registries:
        return explain_reference(output, registries, reference, policy, at=at, times=times)
