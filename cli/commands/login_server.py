import click

from cli.output import Output
from cli.verbs import verb


@verb(
    examples=("steward login-server myreg", "steward login-server"),
    shape='{"registries": [{"name", "login_server", "resource_id", "sku"}]}',
)
@click.argument("name", required=False)
def login_server(output: Output, *, name: str | None) -> int:
    """Print the login server of a registry of Azure by its name, or of all that you may see.

    Asks Azure under whoever is signed in (az login): a registry may be called otherwise than its login
    server begins.
    """
    from cli.azure import list_registries
    from cli.columns import Column, Columns
    from cli.exits import FAILED, Failure

    found = [each for each in list_registries() if name is None or each.name.lower() == name.lower()]
    if name is not None and not found:
        raise Failure(f"you see no registry {name}", hint="steward login-server lists all", code=FAILED)
    if output.json:
        fields = ("name", "login_server", "resource_id", "sku")
        output.document({"registries": [{field: getattr(each, field) for field in fields} for each in found]})
    elif name is not None:
        output.say(found[0].login_server)
    else:
        table = Columns(
            output=output, columns=(Column(title="NAME"), Column(title="LOGIN SERVER"), Column(title="SKU"))
        )
        for each in found:
            table.add(each.name, each.login_server, each.sku)
        table.flush()
    return 0
