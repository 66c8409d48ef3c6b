from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from shared.registry.redaction import redact


def test_known_keys_keep_their_values() -> None:
    url = "https://r.example/acr/v1/_catalog?last=team%2Fapp&n=100&orderby="
    assert redact(url) == "https://r.example/acr/v1/_catalog?last=team/app&n=100&orderby="


def test_signatures_and_upload_state_are_hidden() -> None:
    url = "https://s.example/blob?sv=2024&sig=c2VjcmV0&se=2026#frag"
    assert redact(url) == "https://s.example/blob?sv=REDACTED&sig=REDACTED&se=REDACTED"


def test_user_and_password_are_removed() -> None:
    assert redact("https://user:hunter2@r.example/v2/") == "https://r.example/v2/"


def test_what_cannot_be_parsed_is_hidden_whole() -> None:
    assert redact("https://[broken/x?sig=1") == "REDACTED"


@given(
    key=st.sampled_from(["sig", "_state", "token", "password", "X-Amz-Signature", "N"]),
    secret=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6).map(
        lambda text: f"s3cr{text}t"
    ),
)
def test_no_value_of_an_unknown_key_is_ever_shown(key: str, secret: str) -> None:
    shown = redact(f"https://r.example/x?{quote(key)}={quote(secret)}&n=1")
    assert secret not in shown
    assert "n=1" in shown
