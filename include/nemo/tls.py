"""Trust for an installation whose certificate is not signed by a public authority, or that wants ours."""

from __future__ import annotations

import functools
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi


class _PublicAuthorities(ssl.SSLContext):
    """Trusts the public authorities, or those of `SSL_CERT_FILE` or `SSL_CERT_DIR` as httpx does.

    They are read at the first handshake: that takes tens of ms, which a task that speaks plain http inside
    its cluster would spend for nothing.
    """

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        self._read()
        return super().wrap_socket(*args, **kwargs)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        self._read()
        return super().wrap_bio(*args, **kwargs)

    def _read(self) -> None:
        if self.cert_store_stats()["x509_ca"]:
            return
        file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
        if folder and not file:
            self.load_verify_locations(capath=folder)
        else:
            self.load_verify_locations(cafile=file or certifi.where())


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """PEM files for https.

    ca_file: the authorities to trust, *instead of* the public ones; None: the public ones.
    client_cert_file: what to show to a server that asks who we are, chain included.
    client_key_file: its key without a passphrase; None: the key stands in `client_cert_file`.

    Raises ValueError for a key without a certificate.
    """

    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None

    def __post_init__(self) -> None:
        if self.client_key_file and not self.client_cert_file:
            raise ValueError(
                f"client_key_file is {self.client_key_file!r} but client_cert_file is not set; "
                "name the certificate of that key, or leave out both"
            )

    def context(self) -> ssl.SSLContext:
        """The context for connections. Raises ValueError that names the file that cannot be used."""
        context = self._trusting()
        if self.client_cert_file:
            self._show(context, self.client_cert_file)
        return context

    def _trusting(self) -> ssl.SSLContext:
        if not self.ca_file:
            return _PublicAuthorities(ssl.PROTOCOL_TLS_CLIENT)
        _readable("ca_file", self.ca_file)
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (ssl.SSLError, OSError) as error:
            raise _useless("ca_file", self.ca_file, "PEM certificates of the authorities") from error

    def _show(self, context: ssl.SSLContext, cert_file: str) -> None:
        _readable("client_cert_file", cert_file)
        if self.client_key_file:
            _readable("client_key_file", self.client_key_file)
        try:
            # An empty passphrase: without one OpenSSL would ask for it at the terminal.
            context.load_cert_chain(cert_file, self.client_key_file, password="")
        except (ssl.SSLError, OSError) as error:
            key = f" with client_key_file {self.client_key_file!r}" if self.client_key_file else ""
            wanted = "a PEM certificate and its key, without a passphrase, that belong together"
            raise _useless("client_cert_file", cert_file + key, wanted) from error


@functools.cache
def context_of(tls: Tls | None) -> ssl.SSLContext:
    """One context for all clients of a process with these files: making one takes tens of ms.

    Files that were replaced are read by the next process.
    """
    return (tls or Tls()).context()


def _readable(field: str, file: str) -> None:
    try:
        with Path(file).open("rb"):
            pass
    except OSError as error:
        raise ValueError(
            f"{field} is {file!r}, which cannot be read ({error.strerror}); "
            "give the path of a file that this process may read"
        ) from error


def _useless(field: str, file: str, wanted: str) -> ValueError:
    return ValueError(f"{field} is {file!r}, which does not hold {wanted}; put them there")
