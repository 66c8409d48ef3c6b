import click

from cli.access import Access, access_options
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=(
        "steward policy init myreg.azurecr.io > policy.yaml",
        "steward policy init myreg.azurecr.io/team --most 20",
    ),
    shape='{"registry", "policy": "the document", "effects": [{"rule", "untag", "delete", "bytes_at_most"}]}',
)
@click.argument("place")
@click.option(
    "--most", type=click.IntRange(1), default=50, show_default=True, help="Repositories to look at."
)
@access_options
def policy_init(output: Output, *, place: str, most: int, access: Access) -> int:
    """Propose a first policy for a registry, or a path in it, and say what each rule would remove today.

    Versions and moving tags are protected; numbered tags, commits and untagged manifests get a rule each.
    Nothing is removed.
    """
    from cli.proposing import propose
    from cli.registries import Registries

    with Registries(access) as registries:
        return propose(output, registries, place, most=most)
