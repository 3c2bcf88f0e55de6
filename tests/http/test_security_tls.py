"""TLS on the public listener, with real handshakes."""

import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tests.programs.certificates import Issued, issue
from tests.programs.service_clients import BASIC
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ServiceEnded, ServiceProcess, wait_until


def settings_of(pair: Issued, **more: str) -> dict[str, str]:
    return {"TLS_CERT_FILE": str(pair.certificate_file), "TLS_KEY_FILE": str(pair.key_file), **more}


@pytest.fixture
def authority(tmp_path: Path) -> Issued:
    return issue(tmp_path, "authority")


@pytest.fixture
def pair(tmp_path: Path, authority: Issued) -> Issued:
    return issue(tmp_path, "listener", authority)


def trusting(authority: Issued) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.certificate_file))


def url_of(process: ServiceProcess) -> str:
    return process.base_url.replace("http:", "https:")


def shown(process: ServiceProcess) -> bytes:
    """The certificate that a new connection is shown, unverified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(process.address, 5) as raw, context.wrap_socket(raw) as connection:
        certificate = connection.getpeercert(binary_form=True)
        assert certificate is not None
        return certificate


def der(pair: Issued) -> bytes:
    return pair.certificate.public_bytes(Encoding.DER)


def install(source: Issued, target: Issued) -> None:
    """Put another pair in the place of one, each file in one step."""
    for new, old in ((source.certificate_file, target.certificate_file), (source.key_file, target.key_file)):
        copy = old.with_suffix(".new")
        copy.write_bytes(new.read_bytes())
        copy.replace(old)


def test_tokens_are_issued_over_tls_and_everything_is_https(
    start_service: StartService, authority: Issued, pair: Issued
) -> None:
    process = start_service(clients=(BASIC,), **settings_of(pair))
    with httpx.Client(base_url=url_of(process), verify=trusting(authority)) as http:
        answer = http.post("/oauth/token", auth=BASIC.basic, data={"grant_type": "client_credentials"})
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"]
        metadata = http.get("/.well-known/oauth-authorization-server").json()
        assert metadata["issuer"] == url_of(process)
        assert http.get("/docs-of-nothing").status_code == 404


@pytest.fixture
def service(start_service_once: StartService, pair: Issued) -> ServiceProcess:
    return start_service_once(clients=(BASIC,), **settings_of(pair))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_is_negotiated_is_fit_for_today(
    service: ServiceProcess, authority: Issued, version: ssl.TLSVersion
) -> None:
    context = trusting(authority)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(service.address, 5) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as connection,
    ):
        cipher = connection.cipher()
        assert cipher is not None
        assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]
        assert connection.selected_alpn_protocol() == "http/1.1"
        assert connection.compression() is None


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "AES128-SHA:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"),
    ],
    ids=["TLS 1.1", "no forward secrecy", "no authenticated encryption"],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_what_is_not_is_refused(service: ServiceProcess, version: ssl.TLSVersion, ciphers: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers)
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(service.address, 5) as raw, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(raw)


def test_plain_http_gets_no_answer_and_harms_nobody(service: ServiceProcess, authority: Issued) -> None:
    request = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    with socket.create_connection(service.address, 5) as connection:
        connection.sendall(request)
        received = b""
        try:
            while piece := connection.recv(4096):
                received += piece
        except ConnectionError:
            pass
    assert b"HTTP/" not in received
    assert httpx.get(f"{url_of(service)}/health", verify=trusting(authority)).status_code == 200
    assert "Traceback" not in service.logs


def test_a_renewed_pair_counts_from_the_next_connection_on_and_ends_none(
    service: ServiceProcess, tmp_path: Path, authority: Issued, pair: Issued
) -> None:
    renewed = issue(tmp_path, "renewed", authority, days=30)
    with httpx.Client(base_url=url_of(service), verify=trusting(authority)) as http:
        assert http.get("/health").status_code == 200
        assert shown(service) == der(pair)
        install(renewed, pair)
        wait_until(lambda: shown(service) == der(renewed), "the renewed certificate was shown")
        # The same connection, which the old pair opened: nothing ended it.
        assert http.get("/health").status_code == 200
    metrics = httpx.get(f"{service.metrics_url}/metrics").text
    assert 'tls_certificate_expiry_timestamp_seconds{certificate="listener"}' in metrics


def test_a_pair_that_does_not_fit_changes_nothing_and_is_told(
    service: ServiceProcess, tmp_path: Path, authority: Issued, pair: Issued
) -> None:
    other = issue(tmp_path, "other", authority)
    good = pair.certificate_file.read_bytes()
    pair.certificate_file.write_bytes(other.certificate_file.read_bytes())

    def refused() -> bool:
        return 'config_reload_failures_total{source="tls"} 1.0' in httpx.get(f"{service.metrics_url}/metrics").text

    wait_until(refused, "the reload was refused")
    assert "is not that of the certificate" in service.logs
    assert shown(service) == der(pair)
    pair.certificate_file.write_bytes(good)
    wait_until(lambda: "the listener has a new certificate" in service.logs, "it was taken again")
    assert shown(service) == der(pair)


def encrypt(pair: Issued, _other: Issued) -> None:
    encryption = BestAvailableEncryption(b"canary")
    pair.key_file.write_bytes(pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def mix(pair: Issued, other: Issued) -> None:
    pair.key_file.write_bytes(other.key_file.read_bytes())


def spoil(pair: Issued, _other: Issued) -> None:
    pair.certificate_file.write_text("no certificate")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (encrypt, "is encrypted; give it unencrypted"),
        (mix, "is not that of the certificate"),
        (spoil, "is no certificate, or"),
    ],
)
def test_a_pair_that_cannot_be_used_is_refused_at_the_start(
    start_service_once: StartService,
    tmp_path: Path,
    pair: Issued,
    change: Callable[[Issued, Issued], None],
    said: str,
) -> None:
    change(pair, issue(tmp_path, "other"))
    with pytest.raises(ServiceEnded) as ended:
        start_service_once(clients=(BASIC,), **settings_of(pair))
    assert ended.value.code == 2
    assert "TLS_CERT_FILE" in ended.value.log + ended.value.output
    assert said in ended.value.log + ended.value.output
    assert "PRIVATE" not in ended.value.log


def test_one_of_the_two_files_is_not_enough(start_service_once: StartService, pair: Issued) -> None:
    with pytest.raises(ServiceEnded, match="TLS_KEY_FILE: must be set"):
        start_service_once(clients=(BASIC,), TLS_CERT_FILE=str(pair.certificate_file))


@pytest.mark.slow
def test_a_handshake_that_is_never_finished_ends(service: ServiceProcess) -> None:
    started = time.monotonic()
    with socket.create_connection(service.address, 30) as connection:
        assert connection.recv(1) == b""
    assert 5 < time.monotonic() - started < 20
