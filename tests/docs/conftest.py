from tests.cli.conftest import acr, ca, docker_registry, hub, registry, steward, untroubled

__all__ = ["acr", "ca", "docker_registry", "hub", "registry", "steward", "untroubled"]
