import click

from cli.access import Access, access_options
from cli.options import yes_option
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=(
        "steward prune myreg.azurecr.io/team/app --dry-run",
        "steward prune myreg.azurecr.io/team/app --older-than 7d",
        "steward prune docker.io/acme/app --yes --json",
    ),
    shape="as clean",
)
@click.argument("places", nargs=-1, required=True, metavar="REPOSITORY...")
@click.option("--older-than", default="24h", show_default=True, metavar="AGE", help="As 90m, 12h, 30d or 6w.")
@click.option("--dry-run", is_flag=True, help="Show what would go, and stop.")
@yes_option
@access_options
def prune(
    output: Output, *, places: tuple[str, ...], older_than: str, dry_run: bool, yes: bool, access: Access
) -> int:
    """Remove untagged manifests that nothing tagged holds, after showing them and asking.

    Children of indexes, signatures and whatever else a tag reaches stay, as do locked manifests.
    On Azure and on Docker Hub.
    """
    from cli.output import require_terminal
    from cli.pruning import prune as remove
    from cli.registries import Registries

    require_terminal(yes=yes or dry_run)
    with Registries(access) as registries:
        return remove(output, registries, places, older_than=older_than, yes=yes, dry_run=dry_run)
