"""Signing in one at a time, and not again for a while after a refusal."""

import threading
import time
from collections.abc import Callable
from typing import Final

from shared.errors import AuthenticationFailed, RateLimited
from shared.registry.tokens import Token

REFUSED_SECRET: Final = 600.0
"""Docker Hub locks a user name out for ten minutes after failed sign-ins (docker/hub-feedback #1436)."""

REFUSED_IDENTITY: Final = 30.0
"""A new role assignment takes minutes to arrive, and asking again locks nobody out."""


LOCKED_OUT: Final = 60.0
"""A sign-in that was refused for its rate and not told when to come back: Docker Hub's lock-out is one."""


class SignIn:
    """Fetches tokens with a credential; one that was refused is not tried again before the pause is over.

    However many threads want a token, a wrong secret is sent once, and a service that asks us to wait is
    left alone by all of them.
    """

    def __init__(self, pause: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause = pause
        self._clock = clock
        self._guard = threading.Lock()
        self._refusal: tuple[float, AuthenticationFailed | RateLimited] | None = None

    def __call__(self, fetch: Callable[[], Token]) -> Token:
        """Return what was fetched.

        :raises AuthenticationFailed: when the credential is refused, or was a short while ago; it says when
            it will be tried again.
        :raises RateLimited: when the service wants to be left alone, or wanted it a short while ago.
        """
        with self._guard:
            if self._refusal is not None and (left := self._refusal[0] - self._clock()) > 0:
                raise _repeated(self._refusal[1], left)
            try:
                token = fetch()
            except AuthenticationFailed as error:
                error.retry_after = self._pause
                self._refusal = (self._clock() + self._pause, error)
                raise
            except RateLimited as error:
                if error.retry_after is None:
                    error.retry_after = LOCKED_OUT
                self._refusal = (self._clock() + error.retry_after, error)
                raise
            self._refusal = None
            return token


def _repeated(before: AuthenticationFailed | RateLimited, left: float) -> AuthenticationFailed | RateLimited:
    """Return the refusal again, with what is left of its pause."""
    return type(before)(
        f"{before.message} (refused before, and not asked again yet)",
        registry=before.registry,
        retry_after=left,
        method=before.method,
        url=before.url,
        status=before.status,
        codes=before.codes,
    )
