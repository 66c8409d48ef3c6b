"""Messages that were given up, listed and sent again: poisoned ones, and dead letters of Event Grid."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from azure.core.exceptions import ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import ContainerClient

from cli.exits import FAILED, Failure
from cli.output import Output
from cli.words import count
from shared.errors import StewardError
from shared.jobs.replaying import replay
from shared.jobs.services import Services
from shared.replication.events import parse_registry_events
from shared.storage.account import StorageAccount, storage_errors

_SHOWN: Final = 300


def list_given_up(output: Output, services: Services) -> int:
    """Print what waits to be replayed."""
    found = [(name, services.poison.read(name) or {}) for name in services.poison.names()]
    if output.json:
        output.document(
            {
                "poison": [
                    {
                        "name": name,
                        "origin": document.get("origin"),
                        "recorded": document.get("recorded"),
                        "text": document.get("text"),
                    }
                    for name, document in found
                ]
            }
        )
        return 0
    for name, document in found:
        output.say(name, bold=True)
        output.say(f"  {str(document.get('text', ''))[:_SHOWN]}")
    if found:
        output.note("steward replay NAME or --all sends them again, once what stopped them is mended")
    else:
        output.note("nothing was given up")
    return 0


def replay_all(output: Output, services: Services, names: Sequence[str]) -> int:
    """Send the messages of these names again; all when there are none."""
    wanted = list(names) or list(services.poison.names())
    results: list[dict[str, Any]] = []
    failed = False
    for name in wanted:
        try:
            sent = replay(services, name)
        except StewardError as error:
            failed = True
            results.append({"name": name, "queue": None, "error": str(error)})
            output.fail(f"{name}: {error}")
            continue
        if sent is None:
            failed = True
            output.fail(f"there is no record {name}", "steward replay lists them")
        results.append(
            {
                "name": name,
                "queue": None if sent is None else sent.queue,
                "error": "no such record" if sent is None else None,
            }
        )
    if output.json:
        output.document({"replayed": results})
    else:
        sent_again = sum(1 for result in results if result["queue"])
        output.say(f"{count(sent_again, 'message')} sent again")
    return FAILED if failed else 0


def replay_dead_letters(output: Output, services: Services, container_name: str) -> int:
    """Put every event of the dead-letter container back into the events queue, and remove it there.

    Events that cannot be understood stay, also where Event Grid wrote them into one blob with others.
    """
    settings = services.settings
    credential = None if settings.storage is not None else DefaultAzureCredential()
    container = StorageAccount(settings, credential).blobs.get_container_client(container_name)
    results: list[dict[str, Any]] = []
    for name, events in _dead_letters(container, container_name):
        problems = [_problem(event) for event in events]
        understood = [event for event, problem in zip(events, problems, strict=True) if problem is None]
        left = [event for event, problem in zip(events, problems, strict=True) if problem is not None]
        for event in understood:
            services.events_queue.send_text(json.dumps(event))
        with storage_errors(f"changing {name}"):
            if not left:
                container.delete_blob(name)
            elif understood:
                container.upload_blob(name, json.dumps(left), overwrite=True)
        error = "; ".join(problem for problem in problems if problem is not None) or None
        if error is not None:
            output.fail(f"{name}: {error}", "what cannot be understood stays where it is")
        queue = services.events_queue.name if understood else None
        results.append({"name": name, "queue": queue, "error": error})
    if output.json:
        output.document({"replayed": results})
    else:
        sent = sum(1 for result in results if result["queue"])
        output.say(f"{count(sent, 'dead letter')} sent again")
    return FAILED if any(result["error"] for result in results) else 0


def _problem(event: Any) -> str | None:
    """Return why the app would not understand the event, ``None`` when it would."""
    try:
        parse_registry_events(event)
    except StewardError as error:
        return str(error)
    return None


def _dead_letters(container: ContainerClient, name: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield the blobs, each an array of events (Event Grid, "Dead letter and retry policies")."""
    with storage_errors(f"reading {name}"):
        try:
            blobs = [str(blob) for blob in container.list_blob_names() if str(blob).endswith(".json")]
        except ResourceNotFoundError:
            raise Failure(
                f"there is no container {name}",
                hint="--dead-letters names that of the event subscription",
                code=FAILED,
            ) from None
    for blob in blobs:
        with storage_errors(f"reading {blob}"):
            content = container.download_blob(blob).readall()
        try:
            document: Any = json.loads(content)
        except ValueError:
            document = [content.decode("utf-8", "replace")]
        yield blob, document if isinstance(document, list) else [document]
