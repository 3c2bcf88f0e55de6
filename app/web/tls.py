"""TLS on the public listener: which certificate a handshake is shown, and how it is exchanged while the service runs.

Rules:
- TLS 1.2 with forward secrecy and authenticated encryption, and 1.3 (RFC 9325 sections 3.1 and 4.2); HTTP/1.1 by ALPN.
- Each handshake is given the pair of the moment: a renewed one counts from the next connection on and ends no open one.
- A pair is taken whole or not at all: a certificate without its key changes nothing.
"""

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

logger = logging.getLogger("app.service")

CIPHERS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; those of 1.3 are all fit."""

HANDSHAKE_SECONDS = 10.0
"""How long a client may take for its handshake."""


class UnusablePair(Exception):
    """A certificate and a key that cannot be used; the message says which and why, fit to follow the file's name."""


class ListenerTls:
    """The listener's certificate and private key, from two files."""

    def __init__(
        self, cert_file: Path, key_file: Path, on_failure: Callable[[], None], on_change: Callable[[], None]
    ) -> None:
        """Read the pair. For each later pair one of the two is called: if it is refused, if it is taken.

        Raises UnusablePair.
        """
        self.files = (cert_file, key_file)
        self._on_failure = on_failure
        self._on_change = on_change
        self._current = load_pair(cert_file, key_file)
        self.context = load_pair(cert_file, key_file)
        """For the listener; it hands every handshake on to the pair of the moment."""
        self.context.sni_callback = self._choose  # called for clients that name no server, too

    async def reload(self) -> None:
        """Take the pair that is in the files now; one that cannot be used leaves things as they are."""
        try:
            self._current = load_pair(*self.files)
        except UnusablePair as error:
            self._on_failure()
            logger.error("the listener's certificate was not exchanged, the old one stays: %s", error)  # noqa: TRY400
        else:
            logger.info("the listener has a new certificate")
            self._on_change()

    def _choose(self, handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        handshake.context = self._current


def load_pair(cert_file: Path, key_file: Path) -> ssl.SSLContext:
    """A server's context with this pair. Raises UnusablePair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS_1_2)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    for path in (cert_file, key_file):
        if not path.is_file():
            raise UnusablePair(f"{path} does not exist or is no file")
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    except _Encrypted:
        raise UnusablePair(
            f"the key in {key_file} is encrypted; give it unencrypted, readable by this user alone"
        ) from None
    except ssl.SSLError as error:
        raise UnusablePair(_why(error, cert_file, key_file)) from None
    except OSError as error:
        raise UnusablePair(f"{cert_file} or {key_file} cannot be read: {error.strerror}") from None
    return context


class _Encrypted(Exception):
    """OpenSSL asked for a password."""


def _no_password(*_arguments: Any) -> str:
    raise _Encrypted


def _why(error: ssl.SSLError, cert_file: Path, key_file: Path) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the key in {key_file} is not that of the certificate in {cert_file}"
    if error.reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        return f"the certificate in {cert_file} is too weak ({error.reason})"
    return f"{cert_file} is no certificate, or {key_file} no private key, in PEM ({error.reason or 'not understood'})"
