"""Where a request may go: origins, loopback, and the addresses that no registry may send us to."""

import ipaddress
import re
import socket
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from shared.errors import ProtocolViolation
from shared.registry.redaction import redact

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_AZURE_HOST: Final = ipaddress.ip_address("168.63.129.16")
"""A public number for the machine that a virtual machine of Azure runs on ("What is 168.63.129.16?")."""

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Origin(NamedTuple):
    """Scheme, host and port: what must be equal for a credential to be sent along (RFC 6454)."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Read as ``https://host:port``, the port only where it is not the default."""
        port = "" if _DEFAULT_PORTS.get(self.scheme) == self.port else f":{self.port}"
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}{port}"


_plain_origin: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?=/)").match


def origin_of(url: str) -> Origin:
    """Return the origin of an absolute http or https URL.

    :raises ValueError: when it is neither, or its port is no number.
    """
    plain = _plain_origin(url)  # every request asks several times
    return _read_origin(url) if plain is None else _known_origin(plain[0])


def _read_origin(url: str) -> Origin:
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"not an http or https URL: {redact(url)!r}")
    return Origin(parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme])


_known_origin = lru_cache(maxsize=256)(_read_origin)


def is_loopback(host: str) -> bool:
    """Tell whether the host is this machine by its name or number alone; nothing is resolved."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _literal(host)
    return address is not None and address.is_loopback


def check_destination(url: str, *, registry: str, home: Origin) -> None:
    """Refuse a URL that the registry chose for us and that no honest registry would choose.

    Redirects and upload locations may lead to storage on another host, never to plain http, nor to an
    address given by number that is not public, nor to a name of this machine or its link: the instance
    metadata service sits on one (server-side request forgery, go-containerregistry #2295). A name of a
    private address passes in the registry's own domain only: that is what private endpoints resolve to.
    A registry that is itself on loopback may point at loopback. What a name means may have changed when it
    is connected to, so :func:`forbidden_peer` asks again then.

    :raises ProtocolViolation: saying which rule the URL breaks.
    """
    try:
        target = origin_of(url)
    except ValueError as error:
        raise ProtocolViolation(
            f"it points at something that is no URL: {error}", registry=registry
        ) from None
    if target == home or (is_loopback(home.host) and is_loopback(target.host)):
        return
    reason = _forbidden(target, home)
    if reason is not None:
        raise ProtocolViolation(f"it points at {target}, {reason}", registry=registry, url=redact(url))


def forbidden_peer(peer: str, *, host: str, home: Origin) -> str | None:
    """Return why the address that a host's name led to is none to talk to, ``None`` when it is.

    The registry itself is where the settings say, wherever that is.
    """
    if host == home.host:
        return None
    address = _plain(ipaddress.ip_address(peer.partition("%")[0]))
    if address.is_loopback and is_loopback(home.host) and is_loopback(host):
        return None
    return _unfit(address, host, home)


def domain_of(host: str) -> str:
    """Return the last two labels of a host: auth.docker.io stands beside registry-1.docker.io."""
    labels = host.split(".")
    return host if labels[-1].isdigit() or ":" in host else ".".join(labels[-2:])


def _forbidden(target: Origin, home: Origin) -> str | None:
    if target.scheme != "https":
        return "which is not https"
    if is_loopback(target.host):
        return "which is this machine"
    address = _literal(target.host)
    if address is not None:
        return None if address.is_global and address != _AZURE_HOST else "which is not a public address"
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError:
        return None  # the request itself will say so, as any other host that cannot be found
    addresses = {_plain(ipaddress.ip_address(str(entry[4][0]).partition("%")[0])) for entry in found}
    return next((reason for each in addresses if (reason := _unfit(each, target.host, home))), None)


def _unfit(address: Address, host: str, home: Origin) -> str | None:
    if address.is_loopback or address.is_link_local or address.is_unspecified or address == _AZURE_HOST:
        return "which is a name for this machine or its link"
    if not address.is_global and domain_of(host) != domain_of(home.host):
        return "which is a name of another domain for an address that is not public"
    return None


def _plain(address: Address) -> Address:
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


def _literal(host: str) -> Address | None:
    try:
        return _plain(ipaddress.ip_address(host))
    except ValueError:
        try:  # 127.1, 0x7f000001 and 2130706433 are addresses to the system's resolver, too
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
