import click

from cli.access import Access, access_options
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=(
        "steward manifests myreg.azurecr.io/team/app",
        "steward manifests myreg.azurecr.io/team/app --untagged",
    ),
    shape='{"registry", "repository", "manifests": [{"digest", "media_type", "platform", "size", "created", '
    '"updated", "locked", "tags": [], "held_by": [], "subject"}]}',
)
@click.argument("place")
@click.option("--untagged", is_flag=True, help="Only those without a tag.")
@access_options
def manifests(output: Output, *, place: str, untagged: bool, access: Access) -> int:
    """List the manifests of a repository, and what points at each.

    On Azure and on Docker Hub, where each index that is read counts as a pull; other registries list no
    manifests, and those are shown that tags point at.
    """
    from cli.inventory import list_manifests
    from cli.registries import Registries

    with Registries(access) as registries:
        return list_manifests(output, registries, place, untagged=untagged)
