"""When certificates end: of several in a file the first end counts, and a broken file keeps what was known."""

import asyncio
import datetime
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from app.observability.certificates import first_end, watch_certificates

pytestmark = pytest.mark.anyio
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def certificate(days: int) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, BEGIN, BEGIN + datetime.timedelta(days))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def end(days: int) -> float:
    return (BEGIN + datetime.timedelta(days)).timestamp()


def test_the_first_end_counts() -> None:
    assert first_end(certificate(90) + certificate(30)) == end(30)


@pytest.mark.parametrize("pem", [b"", b"not a certificate"])
def test_what_is_no_certificate_is_refused(pem: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        first_end(pem)


async def test_what_can_be_read_is_told(tmp_path: Path) -> None:
    good, broken, missing = tmp_path / "ca.pem", tmp_path / "broken.pem", tmp_path / "missing.pem"
    good.write_bytes(certificate(30))
    broken.write_text("broken")
    told: asyncio.Future[Mapping[str, float]] = asyncio.get_running_loop().create_future()
    files = {"store_ca": good, "store_client": broken, "listener": missing}
    watching = asyncio.create_task(watch_certificates(files, told.set_result))
    assert await told == {"store_ca": end(30)}
    watching.cancel()


async def test_without_certificates_there_is_nothing_to_watch() -> None:
    await watch_certificates({}, lambda _ends: pytest.fail("there is nothing to tell"))
