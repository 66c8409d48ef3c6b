import threading
import time

import jwt
import pytest

from shared.registry.tokens import Token, TokenCache, bearer, claims_of, describe_access

ACCESS = [{"type": "repository", "name": "app", "actions": ["pull", "metadata_read"]}]


def signed(**claims: object) -> str:
    return jwt.encode(claims, "k" * 32, algorithm="HS256")


class TurnedClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("lifetime", "used_for"),
    [(4500, 4200), (300, 225), (1200, 900), (10_800, 10_500)],
)
def test_a_token_is_replaced_five_minutes_or_a_quarter_before_its_end(
    lifetime: float, used_for: float
) -> None:
    now = 50.0
    assert bearer("opaque", now=now, expires_in=lifetime).renew_at == now + used_for
    claimed = signed(iat=1_000_000, exp=1_000_000 + lifetime)
    assert bearer(claimed, now=now).renew_at == now + used_for


def test_a_clock_that_differs_from_the_issuers_does_not_shorten_a_token() -> None:
    issued_in_the_past = signed(nbf=100, exp=4600)
    assert bearer(issued_in_the_past, now=0.0).renew_at == 4200


def test_a_lifetime_that_is_missing_or_too_short_is_taken_as_a_minute() -> None:
    assert bearer("opaque", now=0.0).renew_at == 45.0
    assert bearer("opaque", now=0.0, expires_in=5).renew_at == 45.0


def test_the_access_claim_names_what_was_granted() -> None:
    assert bearer(signed(access=ACCESS, exp=1), now=0.0).granted == "repository:app:pull,metadata_read"
    assert describe_access({"access": []}) == "nothing"
    assert describe_access({}).startswith("unknown")


@pytest.mark.parametrize("text", ["opaque", "a.b.c", "a.W10.c", "....", "a.e30=.c"])
def test_what_is_no_jwt_has_no_claims(text: str) -> None:
    assert claims_of(text) == {}


def test_a_token_does_not_show_itself() -> None:
    assert "s3cret" not in repr(bearer("s3cret", now=0.0))


def test_one_thread_fetches_while_the_others_wait() -> None:
    cache: TokenCache[str] = TokenCache()
    fetched: list[int] = []

    def fetch() -> Token:
        fetched.append(1)
        time.sleep(0.05)
        return bearer("token", now=time.monotonic(), expires_in=300)

    threads = [threading.Thread(target=cache.get, args=("key", fetch)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fetched) == 1


def test_a_token_about_to_expire_is_fetched_again() -> None:
    clock = TurnedClock()
    cache: TokenCache[str] = TokenCache(clock)
    names = iter(["first", "second"])

    def fetch() -> Token:
        return bearer(next(names), now=clock(), expires_in=300)

    assert cache.get("key", fetch).text == "first"
    clock.now += 224
    assert cache.get("key", fetch).text == "first"
    clock.now += 2
    assert cache.find(lambda _: True) is None
    assert cache.get("key", fetch).text == "second"


def test_dropping_a_refused_token_leaves_the_one_that_came_after_it() -> None:
    cache: TokenCache[str] = TokenCache()
    old = cache.get("key", lambda: bearer("old", now=time.monotonic(), expires_in=300))
    cache.drop(old)
    new = cache.get("key", lambda: bearer("new", now=time.monotonic(), expires_in=300))
    cache.drop(old)
    assert cache.find(lambda _: True) is new
