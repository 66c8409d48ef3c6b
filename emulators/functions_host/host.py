import asyncio
import hashlib
import json
import logging
import os
import socket
import uuid
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from azure.core.exceptions import AzureError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulators.functions_host import eventgrid_webhook
from emulators.functions_host.admin import AdminApi
from emulators.functions_host.bindings import Function, names
from emulators.functions_host.errors import HostError
from emulators.functions_host.executor import Executor
from emulators.functions_host.host_json import HostOptions
from emulators.functions_host.http_triggers import HttpTriggers
from emulators.functions_host.keys import SYSTEM_KEY, HostKeys
from emulators.functions_host.outputs import QueueOutputs, open_queue
from emulators.functions_host.protos import TypedData
from emulators.functions_host.queue_listener import POISON_SUFFIX, Polling, QueueListener
from emulators.functions_host.schedule import parse_schedule
from emulators.functions_host.storage import StoragePool, StorageQueue, resolve_connection
from emulators.functions_host.timer_status import TimerStatusStore
from emulators.functions_host.timers import TimerListener, TimerOptions
from emulators.functions_host.worker import Worker

logger = logging.getLogger("host")

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfiguration:
    """All that one host is started with."""

    app: Path
    settings: Mapping[str, str]
    options: HostOptions
    keys: HostKeys
    port: int
    polling: Polling
    grace: float


class _Server(uvicorn.Server):
    """Leaves signals to the host, which has more than HTTP to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _log_crash(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("a part of the host has crashed", exc_info=error)


class FunctionsHost:
    """One app with everything around it: HTTP, queues, timers, Event Grid, admin."""

    def __init__(self, configuration: HostConfiguration) -> None:
        self._configuration = configuration
        self._storage = StoragePool()
        self._queues: list[QueueListener] = []
        self._timers: dict[str, TimerListener] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._server: _Server | None = None
        self._executor: Executor | None = None

    async def start(self) -> dict[str, object]:
        """Load the app, open its triggers, and return the ready line."""
        configuration = self._configuration
        worker = Worker()
        functions = await worker.load(configuration.app, configuration.settings)
        enabled = tuple(function for function in functions if not self._is_disabled(function))
        encoding = configuration.options.queues.message_encoding
        outputs = QueueOutputs(enabled, configuration.settings, self._storage, encoding)
        executor = Executor(worker, outputs, timeout=configuration.options.function_timeout)
        self._executor = executor
        by_trigger: dict[str, list[Function]] = {}
        for function in enabled:
            by_trigger.setdefault(function.trigger.type, []).append(function)
        self._open_timers(by_trigger.get("timerTrigger", []), executor)
        await self._open_queues(by_trigger.get("queueTrigger", []), executor)
        web = self._web(functions, by_trigger, executor)
        port = await self._serve(web)
        for listener in self._queues:
            self._spawn(listener.run())
            executor.on_finished(listener.wake)
        for timer in self._timers.values():
            self._spawn(timer.run())
        logger.info("hosting %s: %s", configuration.app, names(enabled))
        return self._ready(port, functions)

    async def stop(self) -> int:
        """Stop receiving, let what runs end within the grace, and return how many invocations did not."""
        grace = self._configuration.grace
        for listener in self._queues:
            listener.stop()
        if self._executor is None:
            return 0
        left = await self._executor.drain(grace)
        rest = 1.0 if left else grace
        await asyncio.gather(
            *(listener.drain(rest) for listener in self._queues),
            *(timer.drain(rest) for timer in self._timers.values()),
        )
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.should_exit = True
            await self._server.shutdown()
        self._storage.close()
        return left

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(_log_crash)
        self._tasks.append(task)

    def _is_disabled(self, function: Function) -> bool:
        setting = self._configuration.settings.get(f"AzureWebJobs.{function.name}.Disabled", "")
        return setting.lower() in {"true", "1"}

    def _open_timers(self, functions: list[Function], executor: Executor) -> None:
        if not functions:
            return
        connection = resolve_connection(
            "AzureWebJobsStorage", self._configuration.settings, where="timers keep their status in storage"
        )
        host_id = hashlib.sha256(str(self._configuration.app).encode()).hexdigest()[:32]
        store = TimerStatusStore(connection, self._storage, host_id=host_id)
        for function in functions:
            try:
                schedule = parse_schedule(function.trigger.text("schedule"))
            except ValueError as error:
                raise HostError(f"{function.place}: {error}") from error
            options = TimerOptions(
                run_on_startup=function.trigger.flag("runOnStartup", default=False),
                use_monitor=function.trigger.flag("useMonitor", default=True),
            )
            self._timers[function.name] = TimerListener(function, schedule, executor, store, options=options)

    async def _open_queues(self, functions: list[Function], executor: Executor) -> None:
        settings = self._configuration.settings
        for function in functions:
            queue = open_queue(function.trigger, settings, self._storage, function=function.name)
            try:
                await queue.create()
            except AzureError as error:
                raise HostError(
                    f"{function.place}: queue {queue.name!r} cannot be created: {error}"
                ) from error
            self._queues.append(
                QueueListener(
                    function,
                    queue,
                    self._poison(function, queue),
                    executor,
                    options=self._configuration.options.queues,
                    polling=self._configuration.polling,
                )
            )

    def _poison(self, function: Function, queue: StorageQueue) -> StorageQueue | None:
        if queue.name.endswith(POISON_SUFFIX):
            return None
        connection = resolve_connection(
            function.trigger.text("connection"), self._configuration.settings, where=function.place
        )
        return self._storage.queue(connection, queue.name + POISON_SUFFIX)

    def _web(
        self, functions: tuple[Function, ...], by_trigger: Mapping[str, list[Function]], executor: Executor
    ) -> Starlette:
        configuration = self._configuration
        triggers = HttpTriggers(
            by_trigger.get("httpTrigger", []),
            executor,
            configuration.keys,
            route_prefix=configuration.options.route_prefix,
        )
        webhook = eventgrid_webhook.EventGridWebhook(
            {function.name: function for function in by_trigger.get("eventGridTrigger", [])},
            executor,
            configuration.keys,
        )
        admin = AdminApi(functions, configuration.keys, self._fire)

        async def answer(request: Request) -> Response:
            path = request.url.path.rstrip("/")
            if path.lower() == eventgrid_webhook.PATH:
                return await webhook.answer(request)
            if not path and configuration.options.route_prefix:
                return Response("Azure Functions development host: running", media_type="text/plain")
            return await triggers.answer(request)

        return Starlette(routes=[*admin.routes(), Route("/{path:path}", answer, methods=_METHODS)])

    async def _serve(self, web: Starlette) -> int:
        """Listen, and return the port once connections are accepted."""
        config = uvicorn.Config(
            web,
            host="127.0.0.1",
            port=self._configuration.port,
            log_config=None,
            access_log=False,
            lifespan="off",
        )
        config.load()
        server = _Server(config)
        server.lifespan = config.lifespan_class(config)
        try:
            listening = config.bind_socket()
        except SystemExit as error:
            raise HostError(f"port {self._configuration.port} is taken on 127.0.0.1") from error
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await server.startup(sockets=[listening])
        self._server = server
        self._spawn(server.main_loop())
        port: int = listening.getsockname()[1]
        return port

    async def _fire(self, function: Function, given: str) -> None:
        if function.name in self._timers:
            await self._timers[function.name].fire(past_due=False)
            return
        if self._executor is None:
            return
        if function.trigger.type == "eventGridTrigger":
            await self._executor.execute(function, TypedData(json=given or "{}"))
            return
        now = json.dumps(datetime.now(UTC).isoformat())
        metadata = {
            "QueueTrigger": TypedData(string=given),
            "Id": TypedData(string=str(uuid.uuid4())),
            "DequeueCount": TypedData(json="1"),
            "InsertionTime": TypedData(json=now),
        }
        await self._executor.execute(function, TypedData(string=given), metadata)

    def _ready(self, port: int, functions: tuple[Function, ...]) -> dict[str, object]:
        keys = self._configuration.keys
        return {
            "url": f"http://127.0.0.1:{port}",
            "pid": os.getpid(),
            "master_key": keys.master,
            "function_keys": {"default": keys.default},
            "system_keys": {SYSTEM_KEY: keys.event_grid},
            "functions": [function.name for function in functions],
        }
