from pathlib import Path

import click

from cli.options import POLICY_FILE
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=(
        "steward policy test policy.tests.yaml",
        "steward policy test policy.tests.yaml --policy candidate.yaml",
    ),
    shape='{"file", "policy", "passed", "cases": [{"name", "passed", "failures": ["..."]}]}',
)
@click.argument("file", type=POLICY_FILE)
@click.option("--policy", type=POLICY_FILE, metavar="FILE", help="Instead of the policy that the file names.")
def policy_test(output: Output, file: Path, policy: Path | None) -> int:
    """Run cases: of a repository as described, what must stay and what must go.

    FILE holds the cases; docs/policy-tests.md describes it.
    """
    from cli.policies import test_policy

    return test_policy(output, file, policy)
