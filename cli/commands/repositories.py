import click

from cli.access import Access, access_options
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=(
        "steward repositories myreg.azurecr.io",
        "steward repositories myreg.azurecr.io/team --long",
        "steward repositories docker.io/acme --json",
    ),
    shape='{"registry", "repositories": [{"repository", "tags", "manifests", "created", "updated", "size", '
    '"private", "locked"}]}; null is what the registry does not say',
)
@click.argument("place")
@click.option("-l", "--long", is_flag=True, help="Counts, ages and locks too; a request each on Azure.")
@access_options
def repositories(output: Output, *, place: str, long: bool, access: Access) -> int:
    """List the repositories of a registry, of a path in it, or of a Docker Hub namespace."""
    from cli.listing import list_repositories
    from cli.registries import Registries

    with Registries(access) as registries:
        return list_repositories(output, registries, place, long=long)
