"""Sets of app settings that load, to start from."""


def in_azure(**changes: str) -> dict[str, str]:
    return {
        "ACR_LOGIN_SERVERS": "myreg.azurecr.io",
        "StewardStorage__blobServiceUri": "https://account.blob.core.windows.net",
        "StewardStorage__queueServiceUri": "https://account.queue.core.windows.net",
        "EVENTS_QUEUE": "registry-events",
        "REPLICATION_QUEUE": "replications",
        "CLEANUP_QUEUE": "cleanups",
        "POLICY_FILE": "policy.yaml",
    } | changes


def on_a_laptop(**changes: str) -> dict[str, str]:
    environment = in_azure(
        ACR_LOGIN_SERVERS="localhost:5001",
        StewardStorage="UseDevelopmentStorage=true",
        DOCKERHUB_USERNAME="acme-bot",
        DOCKERHUB_TOKEN="emulated",
        DOCKERHUB_REGISTRY_ENDPOINT="https://localhost:5002",
        DOCKERHUB_API_ENDPOINT="https://localhost:5003/",
        EMULATOR_CA_FILE="ca.crt",
    )
    del environment["StewardStorage__blobServiceUri"], environment["StewardStorage__queueServiceUri"]
    return environment | changes
