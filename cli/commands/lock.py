from typing import TYPE_CHECKING

import click

from cli.access import Access, access_options
from cli.output import Output
from cli.verbs import verb

if TYPE_CHECKING:
    from cli.changing import Lockable


@verb(
    examples=(
        "steward lock myreg.azurecr.io/team/app:v1.2",
        "steward lock myreg.azurecr.io/team/app --only delete",
    ),
    shape='{"action", "results": [{"target", "result": "done" or "failed", "detail"}]}',
)
@click.argument("places", nargs=-1, required=True, metavar="PLACE...")
@click.option("--only", type=click.Choice(["delete", "write"]), default=None, help="One of the two.")
@access_options
def lock(output: Output, *, places: tuple[str, ...], only: "Lockable | None", access: Access) -> int:
    """Protect tags, manifests or repositories from deleting and overwriting.

    On Azure Container Registry.
    """
    from cli.changing import set_locks
    from cli.registries import Registries

    with Registries(access) as registries:
        return set_locks(output, registries, places, enabled=False, only=only or "all")
