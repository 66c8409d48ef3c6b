import click

from cli.access import Access, access_options
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=(
        "steward show myreg.azurecr.io/team/app:v1.2",
        "steward show docker.io/library/alpine:3 --json",
    ),
    shape='{"registry", "repository", "tag", "root": {"digest", "media_type", "label", "artifact_type", '
    '"size", "missing", "children": [...], "referrers": [...]}}',
)
@click.argument("reference")
@access_options
def show(output: Output, *, reference: str, access: Access) -> int:
    """Show what is behind a tag or digest: its platforms, and the signatures that refer to them."""
    from cli.registries import Registries
    from cli.tree import show as show_tree

    with Registries(access) as registries:
        return show_tree(output, registries, reference)
