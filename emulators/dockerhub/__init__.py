"""Docker Hub on loopback: registry, token service, Hub API and content delivery network."""

from emulators.dockerhub.emulator import DockerHubEmulator

__all__ = ["DockerHubEmulator"]
