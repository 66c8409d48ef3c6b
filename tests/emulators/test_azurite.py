from pathlib import Path

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from emulators import azurite as azurite_module
from emulators.azurite import Azurite, AzuriteStartError


def test_blobs_and_queues_work_and_end_with_it() -> None:
    with Azurite() as azurite:
        blobs = BlobServiceClient.from_connection_string(azurite.connection_string)
        queues = QueueServiceClient.from_connection_string(
            azurite.connection_string, retry_total=0, connection_timeout=1
        )
        blobs.create_container("things").upload_blob("a", b"1")
        queues.create_queue("names").send_message("x")

        assert [blob.name for blob in blobs.get_container_client("things").list_blobs()] == ["a"]
        assert queues.get_queue_client("names").peek_messages()[0].content == "x"

    with pytest.raises(AzureError):
        queues.create_queue("later")
    blobs.close()
    queues.close()


def test_a_location_keeps_what_was_stored(tmp_path: Path) -> None:
    for expected in ([], ["kept"]):
        with (
            Azurite(location=tmp_path) as azurite,
            QueueServiceClient.from_connection_string(azurite.connection_string) as queues,
        ):
            assert [queue.name for queue in queues.list_queues()] == expected
            if not expected:
                queues.create_queue("kept")


def test_a_missing_azurite_says_what_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(azurite_module, "_ROOT", tmp_path)

    with pytest.raises(AzuriteStartError, match="run `make setup`"):
        Azurite().start()


def test_an_azurite_that_ends_at_once_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "node_modules" / ".bin" / "azurite"
    program.parent.mkdir(parents=True)
    program.write_text("throw new Error('no room')")
    monkeypatch.setattr(azurite_module, "_ROOT", tmp_path)

    with pytest.raises(AzuriteStartError, match="no room"):
        Azurite().start()
