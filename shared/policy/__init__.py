"""The one document that users write: what to keep and remove, and where pushed tags go.

Reading a document needs a YAML parser and a validator; using a policy needs neither, so they are imported
only when a document is read.
"""

from shared.policy.policy import Policy

__all__ = ["Policy", "parse_policy", "policy_schema"]


def parse_policy(text: str | bytes, *, source: str = "policy") -> Policy:
    """Return the policy that the YAML or JSON document is.

    :raises InvalidPolicy: with every problem of the document, each with its place and line.
    """
    from shared.policy.reading import read_policy  # noqa: PLC0415 (see the module's docstring)

    return read_policy(text, source=source)


def policy_schema() -> dict[str, object]:
    """Return the JSON Schema of the document, for editors."""
    from shared.policy.model import PolicyModel  # noqa: PLC0415 (see the module's docstring)

    return PolicyModel.json_schema()
