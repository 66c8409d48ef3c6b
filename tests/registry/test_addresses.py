import pytest

from shared.errors import ProtocolViolation
from shared.registry.addresses import Origin, check_destination, forbidden_peer, is_loopback, origin_of

AZURE = origin_of("https://myreg.azurecr.io")
LOCAL = origin_of("https://localhost:5001")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://myreg.azurecr.io/v2/", Origin("https", "myreg.azurecr.io", 443)),
        ("HTTPS://MyReg.azurecr.io:443/x", Origin("https", "myreg.azurecr.io", 443)),
        ("http://[::1]:5000/v2/", Origin("http", "::1", 5000)),
    ],
)
def test_origin_has_the_default_port_and_a_lower_case_host(url: str, origin: Origin) -> None:
    assert origin_of(url) == origin


def test_origin_reads_as_a_url_without_the_default_port() -> None:
    assert str(AZURE) == "https://myreg.azurecr.io"
    assert str(origin_of("http://[::1]:5000/v2/")) == "http://[::1]:5000"


@pytest.mark.parametrize("url", ["ftp://host/x", "/v2/", "", "https://", "https://host:port/"])
def test_what_is_no_absolute_web_address_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"not an http|[Pp]ort"):
        origin_of(url)


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "127.1"])
def test_this_machine_is_known_by_name_and_number(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.example", "128.0.0.1", "myreg.azurecr.io"])
def test_other_machines_are_not_this_one(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://myaccount.blob.core.windows.net/x", "not https"),
        ("https://127.0.0.1/x", "this machine"),
        ("https://localhost/x", "this machine"),
        ("https://2130706433/x", "this machine"),
        ("https://0x7f000001/x", "this machine"),
        ("https://[::ffff:127.0.0.1]/x", "this machine"),
        ("https://169.254.169.254/metadata/identity", "not a public address"),
        ("https://10.0.0.4/x", "not a public address"),
        ("https://168.63.129.16/machine", "not a public address"),
        ("https://100.64.0.1/x", "not a public address"),
        ("https://192.168.1.1/x", "not a public address"),
        ("https://[fe80::1]/x", "not a public address"),
        ("https://[fd00::1]/x", "not a public address"),
        ("file:///etc/passwd", "no URL"),
    ],
)
def test_a_registry_cannot_send_us_there(url: str, reason: str) -> None:
    with pytest.raises(ProtocolViolation, match=reason):
        check_destination(url, registry="myreg.azurecr.io", home=AZURE)


def resolve_all_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    entries = [(2, 1, 6, "", (address, 443)) for address in addresses]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_kwargs: entries)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "127.0.0.1", "::", "168.63.129.16", "::ffff:127.0.0.1", "fe80::1%eth0"],
)
def test_a_name_for_this_machine_or_its_link_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolve_all_to(monkeypatch, "93.184.215.14", address)
    for host in ("rebound.example", "storage.azurecr.io"):
        with pytest.raises(ProtocolViolation, match="a name for this machine or its link"):
            check_destination(f"https://{host}/x", registry="myreg.azurecr.io", home=AZURE)


@pytest.mark.parametrize("address", ["10.1.0.5", "192.168.0.1", "100.64.0.1", "fd00::1", "::ffff:10.1.0.5"])
def test_a_name_of_another_domain_does_not_lead_into_the_network(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolve_all_to(monkeypatch, address)
    with pytest.raises(ProtocolViolation, match="of another domain for an address that is not public"):
        check_destination("https://intranet.example/x", registry="myreg.azurecr.io", home=AZURE)


def test_a_private_endpoint_is_reached_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_all_to(monkeypatch, "10.1.0.5")
    check_destination("https://myreg.westeurope.data.azurecr.io/x", registry="myreg.azurecr.io", home=AZURE)


def test_storage_on_a_public_address_is_reached_in_any_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_all_to(monkeypatch, "93.184.215.14", "2606:2800:21f::1")
    check_destination("https://cdn.example/x", registry="myreg.azurecr.io", home=AZURE)


@pytest.mark.parametrize(
    ("peer", "host", "home", "allowed"),
    [
        ("10.1.0.5", "myreg.azurecr.io", AZURE, True),
        ("10.1.0.5", "myreg.westeurope.data.azurecr.io", AZURE, True),
        ("10.1.0.5", "cdn.example", AZURE, False),
        ("93.184.215.14", "cdn.example", AZURE, True),
        ("169.254.169.254", "storage.azurecr.io", AZURE, False),
        ("::1", "cdn.example", AZURE, False),
        ("127.0.0.1", "localhost", LOCAL, True),
        ("127.0.0.1", "cdn.example", LOCAL, False),
    ],
)
def test_who_was_reached_is_looked_at_again(peer: str, host: str, home: Origin, *, allowed: bool) -> None:
    assert (forbidden_peer(peer, host=host, home=home) is None) == allowed


def test_a_registry_may_point_at_itself_and_a_local_one_at_this_machine() -> None:
    check_destination("https://myreg.azurecr.io/v2/x", registry="myreg.azurecr.io", home=AZURE)
    check_destination("https://localhost:7777/cdn", registry="localhost:5001", home=LOCAL)
    check_destination("http://127.0.0.1:7777/cdn", registry="localhost:5001", home=LOCAL)


def test_a_local_registry_cannot_send_us_into_the_network_it_is_in() -> None:
    with pytest.raises(ProtocolViolation, match="not a public address"):
        check_destination("https://10.0.0.4/x", registry="localhost:5001", home=LOCAL)
