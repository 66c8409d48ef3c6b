"""Benchmarks run, in tiny sizes, so that they do not rot; how long anything takes is not looked at."""

import json
import os

import pytest

from benchmarks.__main__ import BENCHMARKS, exit_status, main
from benchmarks.docker_registries import missing_tools
from benchmarks.figures import Figure, Target

NEEDS_PEERS = {name for name in BENCHMARKS if name.startswith("copy_")}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_yields_figures_that_are_measured(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in NEEDS_PEERS and missing_tools() and not os.environ.get("STEWARD_REQUIRE_PEERS"):
        pytest.skip(f"{missing_tools()} missing")
    assert main([name, "--quick", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["quick"] is True
    figures = document["figures"]
    assert figures
    for figure in figures:
        assert figure["what"]
        assert figure["verdict"] == "-"
        assert figure["ours"] >= 0
        assert figure["reference"] is None or figure["reference"] > 0


def test_a_table_has_one_row_for_each_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["requests_per_operation"]) == 0
    machine, blank, head, *rows = capsys.readouterr().out.splitlines()
    assert "cores" in machine
    assert not blank
    assert head.split() == ["what", "ours", "reference", "ratio", "target", "verdict"]
    assert len(rows) == 5
    assert all(row.split()[-1] == "ok" for row in rows)


def test_an_unknown_benchmark_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["cold_fusion"])
    assert "unknown: cold_fusion; known are cold_start," in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ours", "reference", "target", "verdict"),
    [
        (1.3, 1.0, Target(bound=1.3), "ok"),
        (1.4, 1.0, Target(bound=1.3), "miss"),
        (85.0, 100.0, Target(bound=0.85, kind="at least"), "ok"),
        (84.0, 100.0, Target(bound=0.85, kind="at least"), "miss"),
        (1.0, 4.0, Target(bound=1, of="ours"), "ok"),
        (2.0, 4.0, Target(bound=1, of="ours"), "miss"),
        (1.0, None, Target(bound=1.3), "miss"),
        (9.0, 1.0, None, "-"),
    ],
)
def test_a_figure_is_judged_by_its_target(
    ours: float, reference: float | None, target: Target | None, verdict: str
) -> None:
    figure = Figure(what="anything", ours=ours, reference=reference, target=target)
    assert figure.verdict == verdict
    assert exit_status([figure]) == (verdict == "miss")


def test_what_was_skipped_misses_nothing() -> None:
    skipped = Figure(what="anything", target=Target(bound=1), is_skipped=True, note="skopeo missing")
    assert skipped.verdict == "skipped"
    assert exit_status([skipped]) == 0
    assert skipped.row().endswith("skipped (skopeo missing)")
