import click

from cli.access import Access, access_options
from cli.options import yes_option
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=("steward tag myreg.azurecr.io/team/app:v1.2.3 v1.2 v1 latest",),
    shape='{"action", "results": [{"target", "result": "done", "already_there" or "failed", "detail"}]}',
)
@click.argument("reference")
@click.argument("tags", nargs=-1, required=True, metavar="TAG...")
@yes_option
@access_options
def tag(output: Output, *, reference: str, tags: tuple[str, ...], yes: bool, access: Access) -> int:
    """Put more tags on a tag's or digest's manifest; a tag that would move is asked about."""
    from cli.changing import put_tags
    from cli.registries import Registries

    with Registries(access) as registries:
        return put_tags(output, registries, reference, tags, yes=yes)
