"""A client publishes its keys over https: it is let in by them, follows its own changes, and cannot send the service
anywhere."""

import secrets
import time
from collections.abc import Callable, Iterator

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tests.programs.certificates import Issued, issue
from tests.programs.document_server import DocumentServer, document
from tests.programs.otlp_receiver import OtlpReceiver, attributes_of
from tests.programs.service_calls import ASSERTION_TYPE, ServiceCalls, assert_refused
from tests.programs.service_clients import CANARY, RegisteredClient
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ServiceProcess

CallsOf = Callable[[ServiceProcess], ServiceCalls]
KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]


def jwks(number: int) -> bytes:
    key = ECAlgorithm.to_jwk(KEYS[number].public_key(), as_dict=True)
    members = ",".join(f'"{name}": "{key[name]}"' for name in ("kty", "crv", "x", "y"))
    return f'{{"keys": [{{"kid": "key-{number}", {members}}}]}}'.encode()


def signer(uri: str) -> RegisteredClient:
    entry = {"id": "publisher", "auth_method": "private_key_jwt", "jwks_uri": uri, "scopes": ["read"]}
    return RegisteredClient("publisher", "", entry)


def ask(service: ServiceCalls, number: int = 0, **headers: str) -> httpx.Response:
    """Ask for a token by an assertion that this key has signed."""
    now = int(time.time())
    claims = {"iss": "publisher", "sub": "publisher", "aud": service.process.base_url, "iat": now, "exp": now + 60}
    assertion = jwt.encode(
        {**claims, "jti": secrets.token_hex(16)}, KEYS[number], "ES256", headers={"kid": f"key-{number}"}
    )
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    return service.http.post("/oauth/token", data=form, headers=headers)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return issue(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture
def host(authority: Issued, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentServer]:
    with DocumentServer(issue(tmp_path_factory.mktemp("host"), "host", authority)) as server:
        yield server


def test_published_keys_let_the_client_in_and_the_fetch_is_part_of_the_trace(
    start_service: StartService, calls_of: CallsOf, authority: Issued, host: DocumentServer
) -> None:
    host.answers["/jwks.json"] = document(jwks(0))
    with OtlpReceiver() as collector:
        settings = {
            "OUTGOING_ALLOWED_NETWORKS": "127.0.0.0/8",
            "OUTGOING_CA_FILE": str(authority.certificate_file),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_TRACES_SAMPLER": "always_on",
            "OTEL_BSP_SCHEDULE_DELAY": "20",
        }
        service = calls_of(start_service(clients=(signer(host.url(f"/jwks.json?tenant={CANARY}")),), **settings))
        host.answers[f"/jwks.json?tenant={CANARY}"] = document(jwks(0))
        assert [ask(service).status_code for _ in range(3)] == [200, 200, 200]
        ((_, fields),) = host.requests
        first = collector.await_requests(3)[0]
        fetch = collector.parts_of(first)["GET jwks_uri"]
        assert attributes_of(fetch.attributes)["server.address"] == "127.0.0.1"
        assert fields["traceparent"].split("-")[1] == first.trace_id.hex()
        assert CANARY.encode() not in collector.raw
    # Another key than the published one, and one more fetch at most.
    assert_refused(ask(service, 1), 401, "invalid_client")
    assert len(host.requests) <= 2
    assert service.metric("outgoing_fetches_total", result="ok") == 1


def test_by_default_a_client_cannot_send_the_service_to_addresses_that_are_not_public(
    start_service: StartService, calls_of: CallsOf, authority: Issued, host: DocumentServer
) -> None:
    host.answers["/jwks.json"] = document(jwks(0))
    service = calls_of(
        start_service(clients=(signer(host.url("/jwks.json")),), OUTGOING_CA_FILE=str(authority.certificate_file))
    )
    for _ in range(3):
        assert_refused(ask(service), 401, "invalid_client")
    assert host.connections == 0
    assert service.metric("outgoing_fetches_total", result="forbidden") == 1
    said = "the keys of client 'publisher' cannot be fetched from 127.0.0.1: the host has a loopback address"
    assert said in service.process.logs


def test_a_host_that_hangs_costs_others_nothing(
    start_service: StartService, calls_of: CallsOf, authority: Issued, host: DocumentServer
) -> None:
    host.answers["/jwks.json"] = lambda _: time.sleep(10)
    settings = {"OUTGOING_ALLOWED_NETWORKS": "127.0.0.0/8", "OUTGOING_CA_FILE": str(authority.certificate_file)}
    process = start_service(clients=(signer(host.url("/jwks.json")),), **settings)
    service = calls_of(process)
    began = time.monotonic()
    with httpx.Client(base_url=process.base_url, timeout=2) as other, httpx.Client(timeout=0.2) as hasty:
        with pytest.raises(httpx.TimeoutException):
            hasty.post(
                f"{process.base_url}/oauth/token",
                data={"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}
                | {"client_assertion": jwt.encode({"sub": "publisher"}, KEYS[0], "ES256")},
            )
        for _ in range(50):
            assert other.get("/jwks.json").status_code == 200
    assert time.monotonic() - began < 4, "nobody has waited for it"
    assert_refused(ask(service), 401, "invalid_client")
    assert time.monotonic() - began < 8
