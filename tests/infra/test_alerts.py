"""Alerts: who is told, and that what they look for is what the code produces."""

import inspect
import json
import re

import pytest

import shared.errors
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


def test_messages_named_in_queries_are_logged(deployed: Deploy) -> None:
    named = {n for query in queries(deployed()) for n in re.findall(r'Message has "([a-z ]+)"', query)}
    assert named == {"refused by a limit"}
    logged = [path.read_text(encoding="utf-8") for path in (bicep.INFRA.parent / "shared").rglob("*.py")]
    for message in ("run refused by a limit", "repository refused by a limit"):
        assert any(f'"{message}"' in text for text in logged)


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
    assert len(told_by_logs + told_by_metrics) == 8


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


def test_the_workbook_is_the_file(deployed: Deploy) -> None:
    (workbook,) = deployed().all("Microsoft.Insights/workbooks")
    assert json.loads(workbook.body["properties"]["serializedData"]) == WORKBOOK
