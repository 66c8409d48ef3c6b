"""Alerts: who is told, and that what they look for is what the code produces."""

import ast
import inspect
import json
import re
from datetime import UTC, datetime
from typing import get_args

import pytest

import shared.errors
from shared.jobs.receiving import ReceivedEvent
from shared.oci.names import parse_reference
from shared.replication.events import parse_registry_events
from shared.replication.report import ReplicationOutcome, ReplicationResult
from shared.retention.report import Result
from tests.infra import bicep
from tests.infra.conftest import Deploy
from tests.infra.triggers import functions
from tests.infra.values import Deployment

WORKBOOK = json.loads((bicep.INFRA / "app" / "workbook.json").read_text(encoding="utf-8"))


def queries(deployment: Deployment) -> list[str]:
    alerts = deployment.all("Microsoft.Insights/scheduledQueryRules")
    return [alert.body["properties"]["criteria"]["allOf"][0]["query"] for alert in alerts]


def test_functions_named_in_queries_exist(deployed: Deploy) -> None:
    workbook = [item["content"]["query"] for item in WORKBOOK["items"]]
    named = {
        name
        for query in queries(deployed()) + workbook
        for clause in re.findall(r"(?:OperationName|operation_Name) (?:==|in) (\(.*?\)|\S+)", query)
        for name in re.findall(r"\w+", clause)
    }
    assert named <= functions().keys()
    assert {name for name in functions() if name.startswith("poisoned_")} < named
    assert "start_nightly_run" in named


def test_errors_named_in_queries_exist(deployed: Deploy) -> None:
    named = {n for query in queries(deployed()) for n in re.findall(r'Message has "(\w+)"', query)}
    assert named == {"RateLimited", "InvalidSettings"}
    assert named <= {name for name, _ in inspect.getmembers(shared.errors, inspect.isclass)}


def each_line_query() -> list[tuple[str, str]]:
    """Return the queries of alerts and workbook that read log lines, each with the message it looks for."""
    file = bicep.read(bicep.INFRA / "app" / "alerts.bicep")
    alerts = [bicep.text(node) for node in bicep.walk(file.variables["logAlerts"]) if node.type == "string"]
    workbook = [item["content"]["query"] for item in WORKBOOK["items"]]
    return [
        (message, query)
        for query in alerts + workbook
        for message in re.findall(r"[Mm]essage startswith [\"']([^\"']+?) \{[\"']", query)
    ]


def logging_calls() -> dict[str, str]:
    """Return the source of every module that writes a line, by the line's message."""
    found: dict[str, str] = {}
    for folder in ("shared", "functions"):
        for path in (bicep.INFRA.parent / folder).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
                if isinstance(call.func, ast.Name) and call.func.id == "log":
                    message = call.args[1]
                    assert isinstance(message, ast.Constant), f"{path.name}: a message is constant"
                    found[str(message.value)] = source
    return found


def fields_of(message: str) -> set[str]:
    """Return the keys of what the code writes after the message, those of inner objects after a dot."""
    tag = parse_reference("a.azurecr.io/app:v1")
    now = datetime(2026, 11, 23, tzinfo=UTC)
    match message:
        case "replicated tag":
            outcome = ReplicationOutcome(route="r", source=tag, target=tag, result="copied", at=now)
            return set(outcome.log_fields())
        case "received registry event":
            body = json.dumps(EVENT)
            (event,) = parse_registry_events(body)
            return set(ReceivedEvent(event=event, login_server=tag.registry).log_fields())
        case "run finished":
            keys = literal_keys(logging_calls()[message])
            done = {"untagged", "deleted", "bytes_freed_at_most", *get_args(Result.__value__)}
            assert {"run", "done"} <= keys
            return keys | {f"done.{count}" for count in done}
        case _:
            return set()


EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": ("/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/a"),
    "type": "Microsoft.ContainerRegistry.ImagePushed",
    "subject": "app:v1",
    "time": "2026-11-23T00:00:00Z",
    "data": {
        "id": "1",
        "timestamp": "2026-11-23T00:00:00Z",
        "action": "push",
        "target": {"repository": "app", "tag": "v1"},
        "request": {"host": "a.azurecr.io"},
    },
}


def literal_keys(source: str) -> set[str]:
    literals = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Dict))
    return {str(key.value) for each in literals for key in each.keys if isinstance(key, ast.Constant)}


def test_the_queries_that_read_log_lines_are_found() -> None:
    assert {message for message, _ in each_line_query()} == {
        "received registry event",
        "replicated tag",
        "repository refused by a limit",
        "run finished",
        "run refused by a limit",
    }


@pytest.mark.parametrize(("message", "query"), each_line_query())
def test_a_line_that_a_query_looks_for_is_written(message: str, query: str) -> None:
    assert message in logging_calls(), query


@pytest.mark.parametrize("query", sorted({query for _, query in each_line_query()}))
def test_fields_that_a_query_reads_are_in_the_lines_it_looks_for(query: str) -> None:
    messages = [message for message, of in each_line_query() if of == query]
    written = set().union(*map(fields_of, messages))
    read = set(re.findall(r"\b(?:Fields|f)\.([a-z_]+(?:\.[a-z_]+)?)", query))
    assert read <= written


def test_results_that_queries_name_are_results() -> None:
    queries = {query for _, query in each_line_query()}
    named = {value for query in queries for value in re.findall(r"result\) [=!]= [\"'](\w+)[\"']", query)}
    assert named == {"copied", "deferred", "failed"}
    assert named <= set(get_args(ReplicationResult.__value__))


def test_the_lag_that_raises_an_alert_is_a_parameter(deployed: Deploy) -> None:
    (query,) = (query for query in queries(deployed(replicationLagMinutes=30)) if "lag_seconds" in query)
    assert "todouble(Fields.lag_seconds) > 1800" in query


def test_each_query_counts_into_the_column_that_is_measured(deployed: Deploy) -> None:
    for alert in deployed().all("Microsoft.Insights/scheduledQueryRules"):
        (criterion,) = alert.body["properties"]["criteria"]["allOf"]
        assert criterion["query"].endswith(f"summarize {criterion['metricMeasureColumn']} = count()")
        assert criterion["timeAggregation"] == "Total"


def test_a_night_without_a_run_is_noticed_within_two_hours(deployed: Deploy) -> None:
    (alert,) = (
        found.body["properties"]
        for found in deployed().all("Microsoft.Insights/scheduledQueryRules")
        if found.name.endswith("no-nightly-run")
    )
    assert "ago(26h)" in alert["criteria"]["allOf"][0]["query"]
    assert (alert["windowSize"], alert["evaluationFrequency"]) == ("P2D", "PT1H")
    assert alert["criteria"]["allOf"][0]["operator"] == "LessThan"


@pytest.mark.parametrize("email", ["", "ops@example.com"])
def test_whoever_gave_an_address_is_told(deployed: Deploy, email: str) -> None:
    deployment = deployed(alertEmail=email)
    groups = [group.id for group in deployment.all("Microsoft.Insights/actionGroups")]
    told_by_logs = [
        alert.body["properties"]["actions"]["actionGroups"]
        for alert in deployment.all("Microsoft.Insights/scheduledQueryRules")
    ]
    told_by_metrics = [
        [action["actionGroupId"] for action in alert.body["properties"]["actions"]]
        for alert in deployment.all("Microsoft.Insights/metricAlerts")
    ]
    assert len(groups) == bool(email)
    assert all(told == groups for told in told_by_logs + told_by_metrics)
    assert len(told_by_logs + told_by_metrics) == 12


def test_every_topic_and_the_queues_are_watched(deployed: Deploy) -> None:
    two = [{"name": name, "resourceGroup": "rg"} for name in ("one", "two")]
    deployment = deployed(registries=[*two, {"name": "three", "resourceGroup": "rg", "hears": False}])
    watched = [
        scope
        for alert in deployment.all("Microsoft.Insights/metricAlerts")
        for scope in alert.body["properties"]["scopes"]
    ]
    (account,) = deployment.all("Microsoft.Storage/storageAccounts")
    topics = [topic.id for topic in deployment.all("Microsoft.EventGrid/systemTopics")]
    assert watched == [f"{account.id}/queueServices/default", *topics]


def test_every_alert_is_documented(deployed: Deploy) -> None:
    document = (bicep.INFRA.parent / "docs" / "deploy.md").read_text(encoding="utf-8")
    section = document[document.index("## Being told") :].split("\n## ")[0]
    deployment = deployed()
    alerts = [
        alert.name.removeprefix("steward-prod-").removesuffix("-evgt-myreg")
        for type_ in ("scheduledQueryRules", "metricAlerts")
        for alert in deployment.all(f"Microsoft.Insights/{type_}")
    ]
    assert sorted(re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)) == sorted(alerts)


def test_the_workbook_is_the_file(deployed: Deploy) -> None:
    (workbook,) = deployed().all("Microsoft.Insights/workbooks")
    assert json.loads(workbook.body["properties"]["serializedData"]) == WORKBOOK
