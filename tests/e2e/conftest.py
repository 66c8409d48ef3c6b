import json
from collections.abc import Generator, Iterator

import pytest

from tests.e2e.world import World


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the latest errors of the app beside a failure."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, World) and value.stack.host is not None:
                report.sections.append(("the app's latest errors", "\n".join(_errors(value.host.log))))
    return report


def _errors(log: str) -> Iterator[str]:
    for line in log.splitlines()[-400:]:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("level") in {"ERROR", "WARNING", "CRITICAL"}:
            yield f"{entry['time']} {entry['message'][:300]}"
