"""Log lines that people and queries can both read."""

import json
import logging
from collections.abc import Mapping


def log(
    logger: logging.Logger, message: str, fields: Mapping[str, object], *, level: int = logging.INFO
) -> None:
    """Write a constant message, followed by its fields as one JSON object.

    The fields stand in the text because the Functions worker passes the text on and nothing else; JSON keeps
    hostile names on their line. In KQL: ``parse_json(substring(message, indexof(message, "{")))``.
    """
    logger.log(level, "%s %s", message, json.dumps(fields, default=str))
