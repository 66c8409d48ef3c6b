"""A development stand-in for the Azure Functions host.

It runs an app with Microsoft's own worker library and does around it what the host does: app
settings, HTTP routes and keys, Event Grid's webhook, timers, queues with poison and base64, output
bindings. Host and worker share one process, storage is meant to be Azurite, and nothing scales: use
it to develop and to test. With Core Tools, `func start` runs the same app with the same settings.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path

from emulators.functions_host.errors import HostError
from emulators.functions_host.host import FunctionsHost, HostConfiguration
from emulators.functions_host.host_json import load_host_json
from emulators.functions_host.keys import HostKeys
from emulators.functions_host.log import configure_logging
from emulators.functions_host.queue_listener import Polling
from emulators.functions_host.settings import apply_settings, load_settings

_BANNER = "Azure Functions development host: for developing and testing on this machine, not for production."


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emulators.functions_host", description=__doc__)
    parser.add_argument("--app", type=Path, required=True, help="folder of host.json and function_app.py")
    parser.add_argument("--settings", type=Path, required=True, help="a local.settings.json")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 finds a free one")
    parser.add_argument(
        "--poll-interval",
        type=float,
        default=0.5,
        metavar="SECONDS",
        help="longest wait between looks at an empty queue (Azure: up to maxPollingInterval, a minute)",
    )
    parser.add_argument(
        "--visibility-seconds",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long a message stays hidden after the host that took it was killed (Azure: 10 minutes)",
    )
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how long running functions may go on after SIGTERM",
    )
    parser.add_argument("--keys", type=Path, help="file that keeps the access keys from start to start")
    parser.add_argument(
        "--stop-with-stdin",
        action="store_true",
        help="stop when stdin closes, that is with the parent process",
    )
    return parser.parse_args()


def _configuration(arguments: argparse.Namespace) -> HostConfiguration:
    app = arguments.app.resolve()
    overridden = apply_settings(load_settings(arguments.settings), os.environ)
    options = load_host_json(app / "host.json", os.environ)
    configure_logging(
        options.log_levels, debug=os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING", "").lower() in {"1", "true"}
    )
    if overridden:
        sys.stderr.write(f"The environment overrides settings: {', '.join(overridden)}\n")
    if arguments.visibility_seconds < 1:
        raise HostError("--visibility-seconds must be at least 1: storage counts whole seconds")
    keys = HostKeys.kept_in(arguments.keys.resolve() if arguments.keys else None)
    os.chdir(app)
    return HostConfiguration(
        app=app,
        settings=os.environ,
        options=options,
        keys=keys,
        port=arguments.port,
        polling=Polling(interval=arguments.poll_interval, visibility=arguments.visibility_seconds),
        grace=arguments.grace_seconds,
    )


def _stop_with_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    def wait_for_end() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait_for_end, daemon=True).start()


async def _host(arguments: argparse.Namespace) -> int:
    host = FunctionsHost(_configuration(arguments))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if arguments.stop_with_stdin:
        _stop_with_stdin(loop, stop)
    ready = await host.start()
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await stop.wait()
    return await host.stop()


def main() -> None:
    sys.stderr.write(_BANNER + "\n")
    try:
        left = asyncio.run(_host(_arguments()))
    except HostError as error:
        sys.exit(f"functions host: {error}")
    if left:
        sys.stderr.write(f"functions host: {left} invocations were cut off\n")
    # Threads of functions that outlived the grace must not keep the process.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
