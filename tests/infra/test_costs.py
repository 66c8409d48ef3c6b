"""Costs: computed from inputs, shown as computed, and agreeing with what the template deploys."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scripts import costs
from tests.infra.conftest import Deploy

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
EXAMPLE: dict[str, Any] = yaml.safe_load(costs.EXAMPLE.read_text(encoding="utf-8"))
LINES = {line.what: line for line in (*costs.LINES, *costs.PRIVATE_NETWORK)}


def run(*arguments: str | Path) -> str:
    script = ROOT / "scripts" / "costs.py"
    return subprocess.run(
        [sys.executable, script, *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def test_the_document_shows_what_the_script_computes() -> None:
    assert f"\n\n{run('docs/examples/costs.yaml')}\n" in DEPLOY
    private = run("--private-network").splitlines(keepends=True)[-4:-1]
    assert "".join(private) in DEPLOY


def test_sizes_in_the_text_are_those_of_the_example() -> None:
    for name in ("repositories", "manifests", "pushes_a_day"):
        small, medium, large = (f"{size[name]:,}" for size in EXAMPLE["sizes"].values())
        assert f"{small}, {medium} and {large} {name.split('_')[0]}" in " ".join(DEPLOY.split())


def test_a_night_takes_what_the_quotas_allow() -> None:
    quotas = {"reads_a_minute": 5000, "deletes_a_minute": 500}
    assert costs.night_seconds(quotas, {"manifests": 5000, "removed_a_night": 0}) == 60
    assert costs.night_seconds(quotas, {"manifests": 10_000, "removed_a_night": 250}) == 150


def test_a_month_is_thirty_of_everything_that_happens_in_a_day() -> None:
    size = {
        "repositories": 1,
        "manifests": 0,
        "removed_a_night": 0,
        "pushes_a_day": 10,
        "seconds_a_copy": 6,
        "gb_copied_a_day": 1,
    }
    inputs = EXAMPLE | {"deployment": EXAMPLE["deployment"] | {"reconciliations_a_day": 1, "instance_gb": 4}}
    found = costs.quantities(inputs, size)
    assert found["copies"] == 300 * 6 * 4
    # 600 events, 300 copies, 60 cleanups, 30 comparisons; and 60 timers
    assert found["executions"] == 1050
    assert found["all execution time"] == found["copies"] + (600 + 30 + 60) * 4
    assert found["events published and delivered"] == 1200


def test_what_is_free_is_not_paid_for() -> None:
    inputs = copy.deepcopy(EXAMPLE)
    line = LINES["executions"]
    inputs["prices"]["million_executions"], inputs["free"]["executions"] = 2, 500_000
    assert costs.cost(inputs, line, 400_000) == 0
    assert costs.cost(inputs, line, 1_500_000) == 2


@pytest.mark.parametrize("size", EXAMPLE["sizes"])
@given(name=st.sampled_from(sorted(EXAMPLE["sizes"]["small"])), factor=st.floats(1, 100))
def test_more_never_costs_less(size: str, name: str, factor: float) -> None:
    less = EXAMPLE["sizes"][size]
    before = costs.quantities(EXAMPLE, less)
    after = costs.quantities(EXAMPLE, less | {name: less[name] * factor})
    assert all(after[what] >= before[what] for what in LINES)


def test_no_price_stands_in_the_script() -> None:
    free_of_charge = copy.deepcopy(EXAMPLE)
    free_of_charge["prices"] = dict.fromkeys(EXAMPLE["prices"], 0)
    assert costs.table(free_of_charge, private_network=True).count("0.00") >= 3
    assert "**0.00** | **0.00** | **0.00**" in costs.table(free_of_charge, private_network=True)


def test_every_price_is_used_and_marked_as_an_example() -> None:
    assert {line.price for line in LINES.values()} - {""} == set(EXAMPLE["prices"])
    assert EXAMPLE["currency"] == "EXAMPLE"


def test_what_is_counted_is_what_the_template_deploys(deployed: Deploy) -> None:
    near = {"name": "near", "resourceGroup": "rg", "privateEndpoint": True}
    deployment = deployed(privateNetwork=True, registries=[near])
    said = EXAMPLE["deployment"]
    assert said["log_alert_rules"] == len(deployment.all("Microsoft.Insights/scheduledQueryRules"))
    assert said["private_endpoints"] == len(deployment.all("Microsoft.Network/privateEndpoints"))
    (site,) = deployment.all("Microsoft.Web/sites")
    scale = site.body["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    assert said["instance_gb"] * 1024 == scale["instanceMemoryMB"]
    (policy,) = deployment.all("Microsoft.Storage/storageAccounts/managementPolicies")
    kept = policy.body["properties"]["policy"]["rules"][0]["definition"]["actions"]["baseBlob"]["delete"]
    assert said["reports_kept_days"] == kept["daysAfterModificationGreaterThan"]
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    assert host["extensions"]["queues"]["batchSize"] == 8
    assert "one\ninstance works on eight" in DEPLOY or "instance works on eight" in DEPLOY


def test_the_script_explains_itself_when_asked_wrongly() -> None:
    script = ROOT / "scripts" / "costs.py"
    refused = subprocess.run([sys.executable, script, "--help"], check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "Usage:" in refused.stdout
