import click

from cli.access import Access, access_options
from cli.options import yes_option
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=(
        "steward untag myreg.azurecr.io/team/app:pr-17",
        "steward untag docker.io/acme/app:v1 docker.io/acme/app:v2 --yes",
    ),
    shape='{"action", "results": [{"target", "result": "done", "already_gone" or "failed", "detail"}]}',
)
@click.argument("references", nargs=-1, required=True, metavar="REFERENCE...")
@yes_option
@access_options
def untag(output: Output, *, references: tuple[str, ...], yes: bool, access: Access) -> int:
    """Remove tags, after asking; what they point at stays.

    On Azure and on Docker Hub; the OCI specification has no safe way to do it.
    """
    from cli.output import require_terminal
    from cli.registries import Registries
    from cli.removing import untag as remove

    require_terminal(yes=yes)
    with Registries(access) as registries:
        return remove(output, registries, references, yes=yes)
