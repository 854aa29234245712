"""Own authorities and client certificates, against a server that insists on both."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from include.nemo import NO_RETRIES, AsyncNemoClient, NemoClient, NemoUrls, Tls, entities
from include.nemo.datastore import DataStore
from include.nemo.errors import Unreachable
from include.nemo.tls import context_of

PEM = serialization.Encoding.PEM


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certify(folder: Path, who: str, issuer: Any = None) -> tuple[Any, Any]:
    """`who.crt` and `who.key`; signed by itself where there is no issuer. Returns certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(who))
        .issuer_name(issuer[0].subject if issuer else _name(who))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(here, critical=False)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    (folder / f"{who}.crt").write_bytes(certificate.public_bytes(PEM))
    plain = serialization.NoEncryption()
    (folder / f"{who}.key").write_bytes(
        key.private_bytes(PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
    return certificate, key


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "28")
        self.end_headers()
        self.wfile.write(b'{"id": "ns/d", "sha": "abc"}')


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority = _certify(folder, "authority")
    _certify(folder, "server", authority)
    _certify(folder, "client", authority)
    _certify(folder, "stranger")
    (folder / "both.pem").write_bytes(
        (folder / "client.crt").read_bytes() + (folder / "client.key").read_bytes()
    )
    (folder / "nonsense.pem").write_text("no certificate\n")
    return folder


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Handshakes fail here on purpose."""


@pytest.fixture(scope="module")
def urls(files: Path) -> Iterator[NemoUrls]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files / "server.crt", files / "server.key")
    context.load_verify_locations(files / "authority.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    server = Quiet(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    url = f"https://127.0.0.1:{server.server_port}"
    yield NemoUrls(url, url, url)
    server.shutdown()
    server.server_close()


def _ask(kind: str, urls: NemoUrls, tls: Tls | None) -> Any:
    if kind == "data store":
        return DataStore(urls, retries=NO_RETRIES, timeout_seconds=5, tls=tls).revision("ns/d")
    call = entities.get_namespace("ns")
    if kind == "sync":
        with NemoClient(urls, retries=NO_RETRIES, tls=tls) as client:
            return client.send(call).id

    async def ask() -> Any:
        async with AsyncNemoClient(urls, retries=NO_RETRIES, tls=tls) as client:
            return (await client.send(call)).id

    return asyncio.run(ask())


@pytest.fixture(params=["sync", "async", "data store"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("cert", [("client.crt", "client.key"), ("both.pem", None)])
def test_both_sides_know_each_other(
    kind: str, urls: NemoUrls, files: Path, cert: tuple[str, str | None]
) -> None:
    tls = Tls(
        ca_file=str(files / "authority.crt"),
        client_cert_file=str(files / cert[0]),
        client_key_file=str(files / cert[1]) if cert[1] else None,
    )
    assert _ask(kind, urls, tls) in ("ns/d", "abc")


def test_a_server_that_nobody_vouches_for(kind: str, urls: NemoUrls) -> None:
    with pytest.raises(Unreachable, match=r"(?i)certificate.*ca_file"):
        _ask(kind, urls, None)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_public_authorities_are_those_of_the_environment(
    kind: str, urls: NemoUrls, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(files / "authority.crt"))
    context_of.cache_clear()
    known = Tls(client_cert_file=str(files / "both.pem"))
    try:
        assert _ask(kind, urls, known) == "ns/d"
    finally:
        context_of.cache_clear()


def test_a_server_that_wants_to_know_who_we_are(kind: str, urls: NemoUrls, files: Path) -> None:
    with pytest.raises(Unreachable):
        _ask(kind, urls, Tls(ca_file=str(files / "authority.crt")))


def test_another_authority_is_not_trusted(kind: str, urls: NemoUrls, files: Path) -> None:
    with pytest.raises(Unreachable, match=r"(?i)certificate.*ca_file"):
        _ask(kind, urls, Tls(ca_file=str(files / "stranger.crt")))


def test_certificates_of_one_data_store_are_not_shown_to_another(urls: NemoUrls, files: Path) -> None:
    authority = str(files / "authority.crt")
    known = Tls(ca_file=authority, client_cert_file=str(files / "both.pem"))
    assert _ask("data store", urls, known) == "abc"
    with pytest.raises(Unreachable):
        _ask("data store", urls, Tls(ca_file=authority))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"ca_file": "absent.pem"}, "ca_file is '.*absent.pem', which cannot be read .No such file"),
        ({"ca_file": "nonsense.pem"}, "ca_file is '.*nonsense.pem', which does not hold PEM"),
        ({"client_cert_file": "absent.pem"}, "client_cert_file is .* cannot be read"),
        ({"client_cert_file": "client.crt"}, "client_cert_file is .* its key"),
        (
            {"client_cert_file": "client.crt", "client_key_file": "absent.key"},
            "client_key_file is .* cannot be",
        ),
        ({"client_cert_file": "client.crt", "client_key_file": "server.key"}, "belong together"),
    ],
)
def test_a_file_that_is_no_use_is_named(
    kind: str, urls: NemoUrls, files: Path, names: dict[str, str], message: str
) -> None:
    tls = Tls(**{field: str(files / name) for field, name in names.items()})
    with pytest.raises(ValueError, match=message):
        _ask(kind, urls, tls)


def test_a_key_without_a_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="client_cert_file is not set"):
        Tls(client_key_file="client.key")
