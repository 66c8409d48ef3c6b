from pathlib import Path

import click

from cli.options import POLICY_FILE
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=("steward policy check policy.yaml",),
    shape='{"file", "valid", "digest": null or "sha256:...", "problems": [{"path", "line", "message"}], '
    '"rules": ["..."], "protections": ["..."], "routes": ["..."]}',
)
@click.argument("file", type=POLICY_FILE)
def policy_check(output: Output, file: Path) -> int:
    """Say everything that is wrong with a policy, each problem with its line."""
    from cli.policies import check_policy

    return check_policy(output, file)
