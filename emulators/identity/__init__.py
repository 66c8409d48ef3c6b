"""The managed identity endpoint of App Service and Functions, on loopback."""

from emulators.identity.emulator import IdentityEmulator

__all__ = ["IdentityEmulator"]
