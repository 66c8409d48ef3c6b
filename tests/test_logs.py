import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.logs import log


def test_the_fields_follow_the_message_as_json(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        log(logging.getLogger("steward.test"), "replicated tag", {"tag": "v1", "bytes": 3})
    assert caplog.messages == ['replicated tag {"tag": "v1", "bytes": 3}']


def test_a_line_has_the_level_that_was_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    log(logging.getLogger("steward.test"), "run refused", {}, level=logging.WARNING)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@given(st.text())
def test_no_hostile_name_makes_a_line_of_its_own(name: str) -> None:
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger = logging.getLogger("steward.test.hostile")
    logger.setLevel(logging.INFO)
    handler = Kept()
    logger.addHandler(handler)
    try:
        log(logger, "received", {"repository": name})
    finally:
        logger.removeHandler(handler)
    (line,) = lines
    assert line.isprintable()
    assert json.loads(line.removeprefix("received ")) == {"repository": name}
