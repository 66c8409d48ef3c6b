import json
import time
from collections.abc import Mapping
from email.utils import formatdate

import pytest

from shared.errors import (
    AccessDenied,
    AuthenticationFailed,
    ContentRejected,
    ManifestBlobUnknown,
    NotFound,
    OperationDisallowed,
    ProtocolViolation,
    RateLimited,
    RegistryError,
    RegistryUnavailable,
)
from shared.registry.addresses import origin_of
from shared.registry.wire import error_of, follow_pages, retry_after

HOME = origin_of("https://r.example")


def answered(
    status: int,
    body: bytes | str = b"",
    *,
    method: str = "GET",
    url: str = "https://r.example/v2/app/manifests/v1",
    headers: Mapping[str, str] | None = None,
) -> RegistryError:
    return error_of(
        registry="r.example",
        method=method,
        url=url,
        status=status,
        headers=headers or {},
        body=body.encode() if isinstance(body, str) else body,
    )


def coded(*codes: str) -> str:
    return json.dumps({"errors": [{"code": code, "message": f"about {code}"} for code in codes]})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ContentRejected),
        (401, AuthenticationFailed),
        (403, AccessDenied),
        (404, NotFound),
        (405, OperationDisallowed),
        (408, RegistryUnavailable),
        (409, ContentRejected),
        (413, ContentRejected),
        (416, ContentRejected),
        (422, ContentRejected),
        (429, RateLimited),
        (500, RegistryUnavailable),
        (501, OperationDisallowed),
        (503, RegistryUnavailable),
        (599, RegistryUnavailable),
        (204, ProtocolViolation),
        (307, ProtocolViolation),
    ],
)
def test_a_status_has_one_meaning(status: int, kind: type[RegistryError]) -> None:
    error = answered(status)
    assert type(error) is kind
    assert error.status == status


@pytest.mark.parametrize(
    ("status", "code", "method", "kind"),
    [
        (404, "MANIFEST_BLOB_UNKNOWN", "PUT", ManifestBlobUnknown),
        (400, "BLOB_UNKNOWN", "PUT", ManifestBlobUnknown),
        (404, "BLOB_UNKNOWN", "GET", NotFound),
        (400, "TOOMANYREQUESTS", "GET", RateLimited),
        (400, "UNSUPPORTED", "DELETE", OperationDisallowed),
        (401, "TOOMANYREQUESTS", "GET", AuthenticationFailed),
        (500, "MANIFEST_BLOB_UNKNOWN", "PUT", RegistryUnavailable),
    ],
)
def test_a_code_may_say_more_than_the_status(
    status: int, code: str, method: str, kind: type[RegistryError]
) -> None:
    error = answered(status, coded(code), method=method)
    assert type(error) is kind
    assert error.codes == (code,)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "Not Found"),
        ("Too Many Requests (HAP429).\n", "Too Many Requests (HAP429)."),
        ("<html><body>gone\x1b[31m</body></html>", "<html><body>gone [31m</body></html>"),
        (coded("A", "B"), "about A; about B"),
        ('{"errors": null}', "Not Found"),
        ('{"errors": ["text", {"code": 7, "message": null}]}', "Not Found"),
        ('{"detail": "d", "message": "m"}', "d"),
        ('{"fields": {"name": ["too short"]}, "text": "name: too short"}', "name: too short"),
        ('{"errinfo": null, "message": "not found"}', "not found"),
        ('{"error": "invalid_grant", "error_description": "expired"}', "expired"),
        ("[1, 2]", "[1, 2]"),
        ("[" * 5000, "[" * 300 + "..."),
        (b"\xff\xfe", "��"),
    ],
)
def test_any_body_is_read_as_far_as_it_makes_sense(body: str | bytes, message: str) -> None:
    assert answered(404, body).message == message


def test_errors_name_request_and_answer_without_secrets() -> None:
    error = answered(403, coded("DENIED"), url="https://s.example/blob?sig=hunter2&n=1")
    assert str(error) == ("r.example: GET https://s.example/blob?sig=REDACTED&n=1: 403 [DENIED] about DENIED")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "60"}, 60.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": formatdate(1_800_000_090, usegmt=True)}, 90.0),
        ({"Retry-After": formatdate(1_700_000_000, usegmt=True)}, 0.0),
        ({"Retry-After": "Fri, 15 Jan 2027 08:01:30"}, 90.0),
        ({"X-Retry-After": "1800000045"}, 45.0),
        ({"Retry-After": "soon"}, None),
        ({"X-Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_the_wait_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=1_800_000_000.0) == seconds


def test_a_wait_is_counted_from_now_by_default() -> None:
    found = retry_after({"X-Retry-After": str(time.time() + 30)})
    assert found == pytest.approx(30, abs=2)


def test_a_503_that_says_when_to_come_back_is_a_rate_limit() -> None:
    error = answered(503, headers={"Retry-After": "30"})
    assert isinstance(error, RateLimited)
    assert (error.retry_after, error.status) == (30.0, 503)


def pages(links: dict[str, str | None], **settings: int) -> list[str]:
    first = next(iter(links))
    return list(
        follow_pages(first, lambda url: (url, links[url]), registry="r.example", home=HOME, **settings)
    )


def test_pages_are_followed_to_the_last() -> None:
    links: dict[str, str | None] = {
        "https://r.example/a": "https://r.example/b",
        "https://r.example/b": None,
    }
    assert pages(links) == list(links)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/b",
        "http://r.example/b",
        "https://r.example:444/b",
        "https://r.example@evil.example/b",
        "file:///etc/passwd",
    ],
)
def test_a_list_does_not_continue_anywhere_else(elsewhere: str) -> None:
    with pytest.raises(ProtocolViolation, match="the list continues at"):
        pages({"https://r.example/a": elsewhere})


def test_a_list_that_runs_in_a_circle_is_refused() -> None:
    circle: dict[str, str | None] = {
        "https://r.example/a": "https://r.example/b",
        "https://r.example/b": "https://r.example/a",
    }
    with pytest.raises(ProtocolViolation, match="in a circle"):
        pages(circle)


def test_a_list_without_end_is_refused() -> None:
    endless = {f"https://r.example/{n}": f"https://r.example/{n + 1}" for n in range(10)}
    with pytest.raises(ProtocolViolation, match="more than 5 pages"):
        pages(dict(endless), max_pages=5)
