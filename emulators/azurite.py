import contextlib
import http.client
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_ROOT = Path(__file__).resolve().parents[1]
_LISTENING = re.compile(
    r"Azurite (Blob|Queue|Table) service is successfully listening at http://127\.0\.0\.1:(\d+)"
)
_SERVICES = ("Blob", "Queue", "Table")

# Preloaded into Azurite's Node: it ends when its stdin closes, that is with this process.
_END_WITH_PARENT = 'data:text/javascript,process.stdin.on("end",()=>process.exit(0)).resume().unref()'


class AzuriteStartError(Exception):
    """Azurite is missing or did not start; the text says what to do."""


class Azurite:
    """Microsoft's storage emulator, from npm, on free loopback ports.

    It keeps everything in memory, or in the folder `location` from one start to the next.
    """

    ACCOUNT = "devstoreaccount1"
    # The key every storage emulator has; Azurite's documentation prints it.
    KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

    def __init__(self, *, location: Path | None = None, start_timeout: float = 60.0) -> None:
        self._location = location
        self._start_timeout = start_timeout
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._ports: dict[str, int] = {}

    def start(self) -> Self:
        """Start the three services and return when each answers."""
        node, program = shutil.which("node"), _ROOT / "node_modules" / ".bin" / "azurite"
        if node is None or not program.exists():
            raise AzuriteStartError(
                "Azurite is not installed: run `make setup` (it needs Node.js 20 or newer)"
            )
        self._folder = tempfile.TemporaryDirectory(prefix="azurite-")
        log = Path(self._folder.name) / "azurite.log"
        with log.open("wb") as output:
            self._child = subprocess.Popen(  # noqa: S603 - the program npm installed
                [node, "--import", _END_WITH_PARENT, str(program), *self._options()],
                cwd=self._folder.name,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            self._await_ports(log)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End Azurite and remove its folder."""
        child, self._child = self._child, None
        if child is not None:
            # On SIGTERM Azurite waits for idle connections and saves; in memory there is nothing to save.
            if self._location is not None:
                child.terminate()
            elif child.stdin is not None:
                child.stdin.close()
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def blob_endpoint(self) -> str:
        return self._endpoint("Blob")

    @property
    def queue_endpoint(self) -> str:
        return self._endpoint("Queue")

    @property
    def table_endpoint(self) -> str:
        return self._endpoint("Table")

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.ACCOUNT};AccountKey={self.KEY};"
            f"BlobEndpoint={self.blob_endpoint};QueueEndpoint={self.queue_endpoint};"
            f"TableEndpoint={self.table_endpoint};"
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _endpoint(self, service: str) -> str:
        return f"http://127.0.0.1:{self._ports[service]}/{self.ACCOUNT}"

    def _options(self) -> list[str]:
        ports = [f"--{service.lower()}Port=0" for service in _SERVICES]
        hosts = [f"--{service.lower()}Host=127.0.0.1" for service in _SERVICES]
        kept = (
            ["--inMemoryPersistence"]
            if self._location is None
            else [f"--location={self._location.resolve()}"]
        )
        # The SDKs may be newer than the newest API version that Azurite knows.
        return [*ports, *hosts, *kept, "--silent", "--disableTelemetry", "--skipApiVersionCheck"]

    def _await_ports(self, log: Path) -> None:
        deadline = time.monotonic() + self._start_timeout
        while time.monotonic() < deadline:
            if self._child is None or self._child.poll() is not None:
                raise AzuriteStartError(f"Azurite ended at once:\n{log.read_text(errors='replace')[-2000:]}")
            self._ports = {
                name: int(port) for name, port in _LISTENING.findall(log.read_text(errors="replace"))
            }
            if len(self._ports) == len(_SERVICES) and all(map(_answers, self._ports.values())):
                return
            time.sleep(0.05)
        raise AzuriteStartError(f"Azurite did not start within {self._start_timeout:.0f} s")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except OSError:
        return False
    finally:
        connection.close()
    return True
