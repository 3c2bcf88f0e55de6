"""TLS towards Redis: only a server that proves its name is talked to, and nothing is told to any other."""

import datetime
import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from app.clock import stopwatch, unix_now
from app.randomness import random_bytes
from app.storage.interface import StoreUnavailable
from app.storage.redis.opening import redis_store
from app.storage.redis.store import RedisStore
from app.storage.redis_options import TlsFiles, parse_redis_url
from tests.conformance.issued import new_ref
from tests.programs.redis_process import RedisProcess

pytestmark = pytest.mark.anyio

StartRedis = Callable[..., RedisProcess]
UnusedPort = Callable[[], int]
LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


class Issued(NamedTuple):
    """A certificate with its key, as objects and as files."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    certificate_file: Path
    key_file: Path


def issue(
    folder: Path, name: str, by: Issued | None = None, alternative: x509.GeneralName = LOOPBACK, days: int = 1
) -> Issued:
    """A certificate signed ``by`` an authority, or an authority. It ends ``days`` from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=3))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
    )
    certificate = builder.sign(by.key if by else key, hashes.SHA256())
    files = folder / f"{name}.crt", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Issued(certificate, key, *files)


def store_at(port: int, tls: TlsFiles | None) -> RedisStore:
    return redis_store(
        parse_redis_url(f"rediss://:canary-password@127.0.0.1:{port}/0"),
        "tls",
        now=unix_now,
        stopwatch=stopwatch,
        random_bytes=random_bytes,
        tls=tls,
        deadline_seconds=0.5,
        connect_seconds=2.0,
    )


def start_with(redis_process: StartRedis, port: int, server: Issued, authority: Issued, *more: str) -> None:
    files = ("--tls-cert-file", str(server.certificate_file), "--tls-key-file", str(server.key_file))
    redis_process(
        "--requirepass",
        "canary-password",
        "--tls-port",
        str(port),
        *files,
        "--tls-ca-cert-file",
        str(authority.certificate_file),
        *more,
    )


async def test_a_redis_with_the_right_certificate_is_talked_to(
    redis_process: StartRedis, unused_port: UnusedPort, tmp_path: Path
) -> None:
    authority = issue(tmp_path, "authority")
    own = issue(tmp_path, "service", authority)
    port = unused_port()
    start_with(redis_process, port, issue(tmp_path, "redis", authority), authority, "--tls-auth-clients", "yes")
    store = store_at(port, TlsFiles(authority.certificate_file, own.certificate_file, own.key_file))
    await store.open()
    try:
        assert await store.find_access_token(new_ref()) is None
    finally:
        await store.close()


@pytest.mark.parametrize("wrong", ["authority", "name", "expired", "system's authorities"])
async def test_a_redis_with_any_other_certificate_is_not(
    redis_process: StartRedis, unused_port: UnusedPort, tmp_path: Path, wrong: str
) -> None:
    authority = issue(tmp_path, "authority")
    signer = issue(tmp_path, "stranger") if wrong == "authority" else authority
    alternative = x509.DNSName("elsewhere.example") if wrong == "name" else LOOPBACK
    server = issue(tmp_path, "redis", signer, alternative, days=-1 if wrong == "expired" else 1)
    port = unused_port()
    start_with(redis_process, port, server, authority, "--tls-auth-clients", "no")
    store = store_at(port, None if wrong == "system's authorities" else TlsFiles(authority.certificate_file))
    try:
        with pytest.raises(StoreUnavailable, match="certificate is not trusted") as refused:
            await store.open()
        assert "canary" not in str(refused.value)
        assert not store.reached
    finally:
        await store.close()


async def test_a_redis_without_tls_is_told_nothing(redis_process: StartRedis, tmp_path: Path) -> None:
    process = redis_process("--requirepass", "canary-password")
    store = store_at(process.port, TlsFiles(issue(tmp_path, "authority").certificate_file))
    try:
        with pytest.raises(StoreUnavailable):
            await store.open()
        assert not store.reached
    finally:
        await store.close()
