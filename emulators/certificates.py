"""A throw-away certificate authority for servers on loopback."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import trustme


class CertificateAuthority:
    """Signs one server certificate for ``localhost`` and ``127.0.0.1``; lives as long as this object.

    ``ca_file`` is what clients trust, ``certificate_file`` and ``key_file`` what servers present.
    """

    def __init__(self) -> None:
        self._directory = TemporaryDirectory(prefix="emulators-ca-")
        root = Path(self._directory.name)
        self.ca_file = root / "ca.crt"
        self.certificate_file = root / "server.pem"
        self.key_file = root / "server.key"
        authority = trustme.CA(organization_name="Registry Steward emulators")
        issued = authority.issue_cert("localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(self.ca_file)
        for blob in issued.cert_chain_pems:
            blob.write_to_path(self.certificate_file, append=True)
        issued.private_key_pem.write_to_path(self.key_file)
        self.key_file.chmod(0o600)

    def close(self) -> None:
        """Remove the files."""
        self._directory.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
