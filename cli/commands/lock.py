from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from cli.access import Access, access_options
from cli.output import Output
from cli.verbs import verb

if TYPE_CHECKING:
    from cli.changing import Lockable

_SHAPE: Final = '{"action", "results": [{"target", "result": "done" or "failed", "detail"}]}'


def _arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    places = click.argument("places", nargs=-1, required=True, metavar="PLACE...")
    only = click.option("--only", type=click.Choice(["delete", "write"]), help="One of the two.")
    return places(only(access_options(function)))


@verb(
    examples=(
        "steward lock myreg.azurecr.io/team/app:v1.2",
        "steward lock myreg.azurecr.io/team/app --only delete",
    ),
    shape=_SHAPE,
)
@_arguments
def lock(output: Output, *, places: tuple[str, ...], only: "Lockable | None", access: Access) -> int:
    """Protect tags, manifests or repositories from deleting and overwriting.

    On Azure Container Registry.
    """
    return _set(output, places, only, access, enabled=False)


@verb(
    examples=(
        "steward unlock myreg.azurecr.io/team/app:v1.2",
        "steward unlock myreg.azurecr.io/team/app --only delete",
    ),
    shape=_SHAPE,
)
@_arguments
def unlock(output: Output, *, places: tuple[str, ...], only: "Lockable | None", access: Access) -> int:
    """Allow deleting and overwriting of tags, manifests or repositories again.

    On Azure Container Registry.
    """
    return _set(output, places, only, access, enabled=True)


def _set(
    output: Output, places: tuple[str, ...], only: "Lockable | None", access: Access, *, enabled: bool
) -> int:
    from cli.changing import set_locks
    from cli.registries import Registries

    with Registries(access) as registries:
        return set_locks(output, registries, places, enabled=enabled, only=only or "all")
