"""Signing in to a registry: which token for which request, kept, renewed, and asked for once."""

import time
from collections.abc import Callable, Iterable

from shared.errors import AuthenticationFailed, ProtocolViolation
from shared.registry.addresses import Origin, domain_of, is_loopback, origin_of
from shared.registry.challenges import Challenge, parse_challenges
from shared.registry.credentials import (
    AnonymousCredential,
    BasicCredential,
    Credential,
    EntraCredential,
    entra_token,
)
from shared.registry.redaction import redact
from shared.registry.scopes import (
    MAX_REPOSITORIES_PER_TOKEN,
    Scope,
    ScopeSet,
    covers,
    merge,
    parse_scopes,
    scopes_of,
)
from shared.registry.sign_in import REFUSED_IDENTITY, REFUSED_SECRET, SignIn
from shared.registry.token_flows import (
    Send,
    TokenFlow,
    basic_header,
    exchange_flow,
    password_flow,
    refresh_flow,
    run_flow,
)
from shared.registry.tokens import Token, TokenCache


class RegistryAuthenticator:
    """Authenticates to one registry by the token specification, and to ACR by its exchange.

    ``expect`` announces scopes that will be needed, so that one token serves them all instead of one per
    request: at most ten repositories a token.
    """

    def __init__(
        self,
        *,
        registry: str,
        home: Origin,
        credential: Credential,
        send: Send,
        challenge: Challenge | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._home = home
        self._credential = credential
        self._send = send
        self._challenge = challenge
        self._fixed = challenge is not None
        self._clock = clock
        self._tokens: TokenCache[ScopeSet] = TokenCache(clock)
        self._refresh: TokenCache[str] = TokenCache(clock)
        self._expected: dict[tuple[str, str], ScopeSet] = {}
        self._demanded: dict[ScopeSet, ScopeSet] = {}
        pause = REFUSED_IDENTITY if isinstance(credential, EntraCredential) else REFUSED_SECRET
        self._sign_in = SignIn(pause, clock)

    def expect(self, scopes: Iterable[Scope]) -> None:
        """Ask for these scopes together from now on, ten to a token."""
        wanted = sorted(merge(scopes))
        for start in range(0, len(wanted), MAX_REPOSITORIES_PER_TOKEN):
            group = frozenset(wanted[start : start + MAX_REPOSITORIES_PER_TOKEN])
            for scope in group:
                key = (scope.kind, scope.name)
                before = [each for each in self._expected.get(key, ()) if (each.kind, each.name) == key]
                self._expected[key] = merge([*group, *before])

    def token_for(self, method: str, url: str) -> Token | None:
        """Return the token for a request, ``None`` while the registry has not said what it wants."""
        challenge = self._challenge
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            return self._basic()
        return self._scoped(self._wanted(scopes_of(method, url)), challenge)

    def token_after(self, method: str, url: str, *, refused: Token | None, challenge: str) -> Token | None:
        """Return a token made for the challenge, ``None`` when the challenge cannot be met."""
        chosen = self._choose(parse_challenges(challenge)) or self._challenge
        if chosen is None:
            return None
        if not self._fixed:
            self._challenge = chosen
        if refused is not None:
            self._tokens.drop(refused)
        if chosen.scheme == "basic":
            return None if refused is not None else self._basic()
        known = scopes_of(method, url)
        stated = parse_scopes(chosen.parameters.get("scope", ""))
        if not covers(known, stated):
            self._demanded[known] = merge([*known, *stated])
        return self._scoped(self._wanted(known), self._challenge or chosen)

    def _choose(self, challenges: Iterable[Challenge]) -> Challenge | None:
        offered = {each.scheme: each for each in reversed(tuple(challenges))}
        token_service = offered.get("bearer")
        if token_service is not None:
            if not self._fixed:
                self._check_realm(token_service.parameters.get("realm", ""))
            return token_service
        if isinstance(self._credential, BasicCredential):
            return offered.get("basic")
        return None

    def _check_realm(self, realm: str) -> None:
        """Refuse to sign in at a place that is not the registry's: its own host, or one beside it.

        :raises ProtocolViolation: for another domain, and for plain http beyond this machine.
        """
        try:
            place = origin_of(realm)
        except ValueError:
            place = None
        if place is not None:
            near = place.host == self._home.host or domain_of(place.host) == domain_of(self._home.host)
            if near and (
                place.scheme == "https" or (is_loopback(place.host) and is_loopback(self._home.host))
            ):
                return
        raise ProtocolViolation(
            f"it asks us to sign in at {redact(realm)!r}, where its credential must not go",
            registry=self._registry,
        )

    def _wanted(self, known: ScopeSet) -> ScopeSet:
        wanted = list(self._demanded.get(known, known))
        for scope in known:
            wanted.extend(self._expected.get((scope.kind, scope.name), ()))
        return merge(wanted)

    def _basic(self) -> Token | None:
        if isinstance(self._credential, BasicCredential):
            return Token(header=basic_header(self._credential), renew_at=float("inf"), granted="unknown")
        return None

    def _scoped(self, scopes: ScopeSet, challenge: Challenge) -> Token:
        found = self._tokens.find(lambda held: covers(held, scopes))
        return found or self._tokens.get(scopes, lambda: self._fetch(scopes, challenge))

    def _fetch(self, scopes: ScopeSet, challenge: Challenge) -> Token:
        realm = challenge.parameters.get("realm", "")
        service = challenge.parameters.get("service", "")
        match self._credential:
            case EntraCredential():
                return self._sign_in(lambda: self._by_exchange(realm, service, scopes))
            case BasicCredential() as credential:
                header = basic_header(credential)
                return self._sign_in(
                    lambda: self._run(password_flow(realm, service, scopes, header, self._clock))
                )
            case AnonymousCredential():
                return self._run(password_flow(realm, service, scopes, None, self._clock))

    def _by_exchange(self, realm: str, service: str, scopes: ScopeSet) -> Token:
        refresh = self._refresh.get(service, lambda: self._exchange(realm, service))
        try:
            return self._run(refresh_flow(realm, service, scopes, refresh.text, self._clock))
        except AuthenticationFailed:
            self._refresh.drop(refresh)  # it may have been revoked before its time
            renewed = self._refresh.get(service, lambda: self._exchange(realm, service))
            return self._run(refresh_flow(realm, service, scopes, renewed.text, self._clock))

    def _exchange(self, realm: str, service: str) -> Token:
        credential = self._credential
        assert isinstance(credential, EntraCredential)  # noqa: S101 - for the type checker
        identity = entra_token(credential.tokens, credential.scope, registry=self._registry)
        return self._run(exchange_flow(realm, service, identity, self._clock))

    def _run(self, flow: TokenFlow) -> Token:
        return run_flow(flow, self._send, registry=self._registry)
