import click

from cli.access import Access, access_options
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=("steward tags myreg.azurecr.io/team/app", "steward tags docker.io/acme/app --json"),
    shape='{"registry", "repository", "tags": [{"tag", "digest", "created", "updated", "pulled", "size", '
    '"locked", "media_type"}]}; null is what the registry does not say',
)
@click.argument("place")
@access_options
def tags(output: Output, *, place: str, access: Access) -> int:
    """List the tags of a repository."""
    from cli.listing import list_tags
    from cli.registries import Registries

    with Registries(access) as registries:
        return list_tags(output, registries, place)
