"""Event Grid for container registries, on loopback: events, delivery, retry, dead letters."""

from emulators.eventgrid.delivery import HandshakeError
from emulators.eventgrid.emulator import EventGridEmulator
from emulators.eventgrid.envelope import Schema

__all__ = ["EventGridEmulator", "HandshakeError", "Schema"]
