"""The whole world of the app on this machine: registries, identity, events, storage, and the app itself.

Prints one JSON object with every endpoint, credential and file when all is ready; Ctrl-C or SIGTERM
ends it. Development tools: they listen on 127.0.0.1 only and keep everything in memory.
"""

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from emulators.azurite import AzuriteStartError
from emulators.eventgrid import HandshakeError
from emulators.functions_host import HostStartError
from emulators.registry.seed import SeedError
from emulators.stack import Stack

_ROOT = Path(__file__).resolve().parents[1]


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emulators", description=__doc__)
    parser.add_argument("--app", type=Path, default=_ROOT, help="folder of the app (default: this project)")
    parser.add_argument("--no-host", action="store_true", help="start everything but the Functions host")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="policy document for POLICY_FILE")
    parser.add_argument("--seed", type=Path, metavar="FILE", help="YAML or JSON that fills the registries")
    parser.add_argument(
        "--settings-out", type=Path, metavar="FILE", help="where to write local.settings.json"
    )
    parser.add_argument(
        "--set", type=_setting, action="append", default=[], metavar="NAME=VALUE", help="one more app setting"
    )
    parser.add_argument(
        "--acr", action="append", metavar="NAME", help="name of a registry; may be repeated (default: demo)"
    )
    parser.add_argument("--sku", choices=["Basic", "Standard", "Premium"], default="Standard")
    parser.add_argument("--abac", action="store_true", help="registries with ABAC repository permissions")
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="SECONDS", help="of each registry request"
    )
    parser.add_argument("--event-delivery", choices=["queue", "webhook"], default="queue")
    parser.add_argument(
        "--event-schema", choices=["CloudEventSchemaV1_0", "EventGridSchema"], default="CloudEventSchemaV1_0"
    )
    parser.add_argument("--duplicates", type=float, default=0.0, metavar="P", help="of events, from 0 to 1")
    parser.add_argument("--loss", type=float, default=0.0, metavar="P", help="of events, from 0 to 1")
    parser.add_argument("--reorder", action="store_true", help="deliver events out of order")
    arguments = parser.parse_args()
    if arguments.no_host and arguments.event_delivery == "webhook":
        parser.error("--event-delivery webhook needs the host that answers the handshake")
    return arguments


def _stack(arguments: argparse.Namespace) -> Stack:
    return Stack(
        app=None if arguments.no_host else arguments.app,
        acr_names=arguments.acr or ("demo",),
        acr_options={"sku": arguments.sku, "abac": arguments.abac, "latency": arguments.latency},
        dockerhub_options={"latency": arguments.latency},
        event_delivery=arguments.event_delivery,
        event_schema=arguments.event_schema,
        event_options={
            "duplicates": arguments.duplicates,
            "loss": arguments.loss,
            "reorder": arguments.reorder,
        },
        settings=dict(arguments.set),
        settings_file=arguments.settings_out,
        policy_file=arguments.policy,
        seed=arguments.seed,
    )


def main() -> None:
    arguments = _arguments()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        with _stack(arguments) as stack:
            sys.stdout.write(json.dumps(stack.ready()) + "\n")
            sys.stdout.flush()
            stop.wait()
    except (AzuriteStartError, HandshakeError, HostStartError, SeedError, OSError) as error:
        sys.exit(f"emulators: {error}")


if __name__ == "__main__":
    main()
