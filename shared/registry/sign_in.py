"""Signing in one at a time, and not again for a while after a refusal."""

import threading
import time
from collections.abc import Callable
from typing import Final

from shared.errors import AuthenticationFailed
from shared.registry.tokens import Token

REFUSED_SECRET: Final = 600.0
"""Docker Hub locks a user name out for ten minutes after failed sign-ins (docker/hub-feedback #1436)."""

REFUSED_IDENTITY: Final = 30.0
"""A new role assignment takes minutes to arrive, and asking again locks nobody out."""


class SignIn:
    """Fetches tokens with a credential; one that was refused is not tried again before the pause is over.

    However many threads want a token, a wrong secret is sent once.
    """

    def __init__(self, pause: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause = pause
        self._clock = clock
        self._guard = threading.Lock()
        self._refusal: tuple[float, AuthenticationFailed] | None = None

    def __call__(self, fetch: Callable[[], Token]) -> Token:
        """Return what was fetched.

        :raises AuthenticationFailed: when the credential is refused, or was a short while ago.
        """
        with self._guard:
            if self._refusal is not None and self._refusal[0] > self._clock():
                before = self._refusal[1]
                raise AuthenticationFailed(
                    f"{before.message} (refused before, and not asked again yet)",
                    registry=before.registry,
                    method=before.method,
                    url=before.url,
                    status=before.status,
                    codes=before.codes,
                )
            try:
                token = fetch()
            except AuthenticationFailed as error:
                self._refusal = (self._clock() + self._pause, error)
                raise
            self._refusal = None
            return token
