import json

from cli.output import Output
from cli.verbs import verb


@verb(examples=("steward policy schema > policy.schema.json",))
def policy_schema(output: Output) -> None:
    """Print the JSON Schema of policies, for editors and other checkers."""
    from shared.policy import policy_schema as schema

    output.say(json.dumps(schema(), indent=2))
