import click

from cli.access import Access, access_options
from cli.options import yes_option
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=(
        "steward delete myreg.azurecr.io/team/app@sha256:2c26b46b...",
        "steward delete docker.io/acme/app:v1",
        "steward delete myreg.azurecr.io/team/app",
    ),
    shape='{"action", "results": [{"target", "result": "done", "already_gone" or "failed", "detail"}]}',
)
@click.argument("place")
@yes_option
@click.option("--force", is_flag=True, help="Also a manifest that an index lists, which breaks the index.")
@access_options
def delete(output: Output, *, place: str, yes: bool, force: bool, access: Access) -> int:
    """Remove what is named, after showing what goes and asking.

    A tag: its manifest stays. A digest: the manifest, and every tag on it. A repository: all of it, once
    you type its name.
    """
    from cli.output import require_terminal
    from cli.registries import Registries
    from cli.removing import delete as remove

    require_terminal(yes=yes)
    with Registries(access) as registries:
        return remove(output, registries, place, yes=yes, force=force)
