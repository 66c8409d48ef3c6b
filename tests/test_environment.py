from dataclasses import asdict, dataclass

import pytest

from shared.environment import Secret, is_loopback, is_loopback_url
from shared.oci.names import LoginServer

PASSWORD = "correct horse battery staple"

LOOPBACK = [
    "http://localhost",
    "https://localhost:5000",
    "https://LOCALHOST:5000",
    "http://127.0.0.1:1",
    "http://127.8.9.10",
    "http://[::1]:1",
]
ELSEWHERE = [
    "",
    "localhost",
    "localhost:5000",
    "//localhost:5000",
    "ftp://localhost",
    "file://localhost/etc",
    "HTTP://localhost",
    "http://",
    "http://localhost.evil.example",
    "http://evil.example/localhost",
    "http://127.0.0.1@evil.example",
    "http://127.0.0.1:80@evil.example",
    "http://evil.example#@127.0.0.1",
    "http://evil.example?@127.0.0.1",
    r"http://evil.example\@127.0.0.1",
    r"http://127.0.0.1\@evil.example",
    r"http://127.0.0.1\.evil.example",
    "http://user@localhost",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.1.",
    "http://localhost.",
    "http://127.0.0.1\t.evil.example",
    "http://local\nhost",
    "http:///127.0.0.1",
    "http://localhost/v2",
    "http://localhost?x",
    "http://localhost:99999",
    "http://localhost:port",
    "http://localhost:",
    "http://0.0.0.0",
    "http://[::]",
    "http://[:::1]",
    "http://[::1",
    "http://[::1%25eth0]",
    "http://2130706433",
    "http://0x7f000001",
    "http://017700000001",
    "http://127.1",
    "http://127.0.0.01",
    "http://\uff11\uff12\uff17.0.0.1",
    "http://\u24dbocalhost",
    "http://10.0.0.1",
    "http://169.254.169.254",
    "http://[::ffff:10.0.0.1]",
]


@pytest.mark.parametrize("url", LOOPBACK)
def test_an_address_on_this_machine_is_loopback(url: str) -> None:
    assert is_loopback_url(url)


@pytest.mark.parametrize("url", ELSEWHERE)
def test_an_address_that_only_looks_local_is_not_loopback(url: str) -> None:
    assert not is_loopback_url(url)


@pytest.mark.parametrize("host", ["localhost:5000", "localhost", "127.0.0.1:5000", "[::1]:5000"])
def test_a_login_server_on_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(LoginServer(host))


@pytest.mark.parametrize(
    "host", ["[:::]", "[::]:5000", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1"]
)
def test_a_login_server_elsewhere_is_not_loopback(host: str) -> None:
    assert not is_loopback(LoginServer(host))


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(PASSWORD)
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret!r}", "{}".format(secret), "%s" % secret):  # noqa: UP031, UP032
        assert shown == "***"
    assert secret.reveal() == PASSWORD
    assert secret == Secret(PASSWORD)
    assert hash(secret) == hash(Secret(PASSWORD))
    assert secret != Secret("another")
    assert secret != PASSWORD


def test_a_secret_survives_being_taken_apart_with_what_holds_it() -> None:
    @dataclass(frozen=True, slots=True)
    class Holder:
        secret: Secret

    assert PASSWORD not in str(asdict(Holder(Secret(PASSWORD))))
    assert asdict(Holder(Secret(PASSWORD)))["secret"].reveal() == PASSWORD
