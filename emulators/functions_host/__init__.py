"""A development stand-in for the Azure Functions host; see `emulators.functions_host.__main__`."""

from emulators.functions_host.launcher import HostStartError, RunningHost

__all__ = ["HostStartError", "RunningHost"]
