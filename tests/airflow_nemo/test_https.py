"""A connection with certificate files, against a server that asks for a client certificate."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from include.airflow_nemo.hook import NemoHook
from include.nemo import NO_RETRIES, entities
from include.nemo.errors import Unreachable

CALL = entities.get_namespace("flywheel")


@pytest.fixture
def pem(tmp_path: Path) -> dict[str, str]:
    """A certificate for 127.0.0.1, which is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nemo.test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    files = {"certificate": tmp_path / "certificate.pem", "key": tmp_path / "key.pem"}
    files["certificate"].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files["key"].write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    return {what: str(file) for what, file in files.items()}


@pytest.fixture
def https(nemo: Any, pem: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Turns the fake into an https server; call it with the extra's files."""
    wants_certificate = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pem["certificate"])
    wants_certificate.load_cert_chain(pem["certificate"], pem["key"])
    wants_certificate.verify_mode = ssl.CERT_REQUIRED
    nemo.server.handle_error = lambda *_: None  # a refused hand is no news
    # Shaken hands in the thread of each connection, so that a refused one does not end the server.
    nemo.server.socket = wants_certificate.wrap_socket(
        nemo.server.socket, server_side=True, do_handshake_on_connect=False
    )
    nemo.will("GET /v1/namespaces/flywheel", {"id": "flywheel"})
    url = nemo.url.replace("http:", "https:")

    def connect(**files: str) -> None:
        extra = {"data_store_url": url, "nim_proxy_url": url, **files}
        connection = {"conn_type": "nemo", "host": url, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_NEMO", json.dumps(connection))

    return connect


def test_all_clients_use_the_files(https: Any, pem: dict[str, str]) -> None:
    https(ca_file=pem["certificate"], client_cert_file=pem["certificate"], client_key_file=pem["key"])
    with NemoHook().client() as client:
        assert client.send(CALL).id == "flywheel"

    async def shared() -> str | None:
        async with NemoHook().shared_client() as client:
            return (await client.send(CALL)).id

    async def own() -> str | None:
        async with await NemoHook().async_client() as client:
            return (await client.send(CALL)).id

    assert asyncio.run(shared()) == "flywheel"
    assert asyncio.run(own()) == "flywheel"


@pytest.mark.parametrize("files", [{}, {"ca_file": "certificate"}])
def test_without_them_there_is_no_connection(https: Any, pem: dict[str, str], files: dict[str, str]) -> None:
    https(**{field: pem[what] for field, what in files.items()})
    with NemoHook().client(retries=NO_RETRIES) as client, pytest.raises(Unreachable):
        client.send(CALL)
