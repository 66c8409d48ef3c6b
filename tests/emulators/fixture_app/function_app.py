"""An app with every trigger that the development host knows; each function leaves what it saw in a queue."""

import json
import logging
import os
import threading
import time
from datetime import datetime
from typing import List  # noqa: UP035 - the worker refuses Out[list[str]]

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

logger = logging.getLogger("fixture")

_in_flight = 0
_most_in_flight = 0
_counting = threading.Lock()


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


@app.route(route="greet/{name:alpha}/{count:int?}", methods=["GET", "POST"])
def greet(req: func.HttpRequest) -> func.HttpResponse:
    document = {
        "method": req.method,
        "url": req.url,
        "name": req.route_params.get("name"),
        "count": req.route_params.get("count"),
        "query": dict(req.params),
        "agent": req.headers.get("user-agent"),
        "body": req.get_body().decode(),
    }
    response = func.HttpResponse(json.dumps(document), mimetype="application/json", status_code=201)
    response.headers["X-Greeted"] = "yes"
    return response


@app.route(route="greet/nobody")
def greet_nobody(req: func.HttpRequest) -> str:  # noqa: ARG001 - the binding's name
    return "nobody"


@app.route(route="files/{*path}")
def file_path(req: func.HttpRequest) -> str:
    return str(req.route_params.get("path", ""))


@app.route(route="guarded", auth_level=func.AuthLevel.FUNCTION)
def guarded(req: func.HttpRequest) -> str:  # noqa: ARG001
    return "function level"


@app.route(route="innermost", auth_level=func.AuthLevel.ADMIN)
def innermost(req: func.HttpRequest) -> str:  # noqa: ARG001
    return "admin level"


@app.route(route="broken")
def broken(req: func.HttpRequest) -> str:  # noqa: ARG001
    raise RuntimeError("broken on purpose")


@app.route(route="settings/{name}")
def setting(req: func.HttpRequest) -> str:
    return os.environ.get(req.route_params["name"], "")


@app.route(route="asynchronous")
async def asynchronous(req: func.HttpRequest) -> str:  # noqa: ARG001
    logger.info("from a coroutine")
    return "async"


@app.route(route="enqueue/{text}")
@app.queue_output(arg_name="one", queue_name="%SEEN_QUEUE%", connection="StewardStorage")
@app.queue_output(arg_name="many", queue_name="%SEEN_QUEUE%", connection="StewardStorage")
def enqueue(req: func.HttpRequest, one: func.Out[str], many: func.Out[List[str]]) -> func.HttpResponse:  # noqa: UP006
    text = req.route_params["text"]
    one.set(f"one {text}")
    many.set([f"first {text}", f"second {text}"])
    return func.HttpResponse(status_code=202)


@app.queue_trigger(arg_name="msg", queue_name="%WORK_QUEUE%", connection="StewardStorage")
@app.queue_output(arg_name="seen", queue_name="%SEEN_QUEUE%", connection="StewardStorage")
def work(msg: func.QueueMessage, seen: func.Out[str], context: func.Context) -> None:
    body = msg.get_body().decode()
    logger.info("working", extra={"body": body})
    if body == "fail":
        raise ValueError("asked to fail")
    if body.startswith("sleep "):
        time.sleep(float(body.removeprefix("sleep ")))
    seen.set(
        json.dumps(
            {
                "body": body,
                "id": msg.id,
                "dequeue_count": msg.dequeue_count,
                "pop_receipt": msg.pop_receipt,
                "insertion_time": _iso(msg.insertion_time),
                "expiration_time": _iso(msg.expiration_time),
                "time_next_visible": _iso(msg.time_next_visible),
                "function": context.function_name,
            }
        )
    )


@app.queue_trigger(arg_name="msg", queue_name="%WORK_QUEUE%-poison", connection="StewardStorage")
@app.queue_output(arg_name="seen", queue_name="%SEEN_QUEUE%", connection="StewardStorage")
def poisoned(msg: func.QueueMessage, seen: func.Out[str]) -> None:
    seen.set(json.dumps({"poisoned": msg.get_body().decode(), "dequeue_count": msg.dequeue_count}))


@app.queue_trigger(arg_name="msg", queue_name="crowd", connection="StewardStorage")
@app.queue_output(arg_name="seen", queue_name="%SEEN_QUEUE%", connection="StewardStorage")
def crowd(msg: func.QueueMessage, seen: func.Out[str]) -> None:
    global _in_flight, _most_in_flight  # noqa: PLW0603 - what is counted is the worker itself
    with _counting:
        _in_flight += 1
        _most_in_flight = max(_most_in_flight, _in_flight)
    time.sleep(0.2)
    with _counting:
        _in_flight -= 1
    seen.set(json.dumps({"crowd": msg.get_body().decode(), "most": _most_in_flight}))


@app.timer_trigger(arg_name="timer", schedule="%NIGHTLY%")
@app.queue_output(arg_name="seen", queue_name="%SEEN_QUEUE%", connection="StewardStorage")
def nightly(timer: func.TimerRequest, seen: func.Out[str]) -> None:
    status = timer.schedule_status  # type: ignore[attr-defined] # what is passed has it, the base class not
    seen.set(json.dumps({"timer": "nightly", "past_due": timer.past_due, "status": status}))


@app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *", run_on_startup=True)
@app.queue_output(arg_name="seen", queue_name="%SEEN_QUEUE%", connection="StewardStorage")
def tick(timer: func.TimerRequest, seen: func.Out[str]) -> None:  # noqa: ARG001
    started = time.time()
    time.sleep(1.2)
    seen.set(json.dumps({"timer": "tick", "started": started, "ended": time.time()}))


@app.timer_trigger(arg_name="timer", schedule="%NIGHTLY%")
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")
@app.queue_output(arg_name="seen", queue_name="%SEEN_QUEUE%", connection="StewardStorage")
def stubborn(timer: func.TimerRequest, seen: func.Out[str], context: func.Context) -> None:  # noqa: ARG001
    retries = context.retry_context.retry_count
    if retries < 2:
        raise RuntimeError(f"attempt {retries}")
    seen.set(json.dumps({"timer": "stubborn", "retries": retries}))


@app.event_grid_trigger(arg_name="event")
@app.queue_output(arg_name="seen", queue_name="%SEEN_QUEUE%", connection="StewardStorage")
def on_event(event: func.EventGridEvent, seen: func.Out[str]) -> None:
    if event.subject == "fail":
        raise RuntimeError("asked to fail")
    kind = event.type if isinstance(event, func.CloudEvent) else event.event_type
    seen.set(json.dumps({"event": event.id, "type": kind, "kind": type(event).__name__}))
