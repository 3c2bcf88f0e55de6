"""Fetching documents from a real host over TLS: what is taken, and everything that ends it early."""

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path

import pytest

from app.outgoing.fetching import MAX_BODY_BYTES, Fetched, Fetcher, FetchError, max_age, why_no_target
from tests.programs.certificates import Issued, issue
from tests.programs.document_server import DocumentServer, document
from tests.programs.ports import free_port

pytestmark = pytest.mark.anyio
LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return ("asyncio", {"use_uvloop": True})  # as the service runs


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return issue(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def host(authority: Issued, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentServer]:
    with DocumentServer(issue(tmp_path_factory.mktemp("host"), "host", authority)) as server:
        server.answers["/jwks.json"] = document(b'{"keys": []}', cache_control="public, max-age=300")
        yield server


@pytest.fixture
async def fetcher(authority: Issued) -> Fetcher:
    return Fetcher(allowed=LOOPBACK, ca_file=authority.certificate_file, seconds=1.0)


async def refusal(fetcher: Fetcher, url: str) -> FetchError:
    with pytest.raises(FetchError) as refused:
        await fetcher.get(url, "application/json")
    return refused.value


async def test_a_document_is_fetched_and_nothing_is_sent_but_the_request(
    fetcher: Fetcher, host: DocumentServer
) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert await fetcher.get(host.url("/jwks.json"), "a/b", traceparent) == Fetched(b'{"keys": []}', 300)
    path, fields = host.requests[-1]
    assert path == "/jwks.json"
    assert fields == {
        "host": f"127.0.0.1:{host.port}",
        "accept": "a/b",
        "accept-encoding": "identity",
        "user-agent": "auth-service",
        "connection": "close",
        "traceparent": traceparent,
    }


@pytest.mark.parametrize(
    "name",
    [
        *("127.0.0.1", "localhost", "127.1", "127.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]", "[64:ff9b::7f00:1]"),
    ],
)
async def test_no_way_to_write_this_machine_reaches_it(name: str, authority: Issued, host: DocumentServer) -> None:
    before = host.connections
    error = await refusal(Fetcher(ca_file=authority.certificate_file), host.url("/jwks.json", name))
    assert error.result in {"forbidden", "unreachable"}  # some resolvers do not know every form
    assert error.result == "forbidden" or name not in {"127.0.0.1", "localhost", "[::1]", "127.1", "2130706433"}
    assert host.connections == before


async def test_a_redirect_is_not_followed(fetcher: Fetcher, host: DocumentServer) -> None:
    host.answers["/moved"] = document(b"", 302, location=host.url("/jwks.json"))
    before = len(host.requests)
    error = await refusal(fetcher, host.url("/moved"))
    assert (error.result, str(error)) == ("refused", "the answer has the status 302")
    assert [path for path, _ in host.requests[before:]] == ["/moved"]


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    for _ in range(10_000):
        handler.wfile.write(b"1000\r\n" + b"a" * 4096 + b"\r\n")


def dripping(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    for _ in range(50):
        handler.wfile.write(b"a")
        time.sleep(0.1)


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(3)


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b"a")


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")


ODD = {
    "long": (document(b"a" * (MAX_BODY_BYTES + 1)), "unusable", "longer than"),
    "endless": (endless, "unusable", "longer than"),
    "compressed": (document(b"\x1f\x8b", content_encoding="gzip"), "unusable", "compressed"),
    "dripping": (dripping, "unreachable", "no whole answer within 1 s"),
    "silent": (silent, "unreachable", "no whole answer within 1 s"),
    "cut": (cut, "unusable", "not HTTP"),
    "no-http": (no_http, "unusable", "not HTTP"),
    "error": (document(b"{}", 500), "refused", "status 500"),
    "missing": (document(b"", 404), "refused", "status 404"),
}


@pytest.mark.parametrize("name", list(ODD))
async def test_an_odd_answer_ends_soon_and_is_named(name: str, fetcher: Fetcher, host: DocumentServer) -> None:
    host.answers[f"/{name}"], result, message = ODD[name]
    began = time.monotonic()
    error = await refusal(fetcher, host.url(f"/{name}"))
    assert error.result == result
    assert message in str(error)
    assert time.monotonic() - began < 2.5


async def test_the_longest_answer_is_taken(fetcher: Fetcher, host: DocumentServer) -> None:
    host.answers["/longest"] = document(b"a" * MAX_BODY_BYTES)
    assert len((await fetcher.get(host.url("/longest"), "a/b")).body) == MAX_BODY_BYTES


async def test_certificates_are_verified(fetcher: Fetcher, host: DocumentServer) -> None:
    unknown = await refusal(Fetcher(allowed=LOOPBACK), host.url("/jwks.json"))
    assert unknown.result == "unreachable"
    assert "the certificate is not trusted" in str(unknown)
    another = await refusal(fetcher, host.url("/jwks.json", "localhost"))
    assert another.result == "unreachable"
    assert "the certificate is not trusted" in str(another)


async def test_nobody_there_is_said(fetcher: Fetcher) -> None:
    error = await refusal(fetcher, f"https://127.0.0.1:{free_port()}/")
    assert error.result == "unreachable"
    error = await refusal(fetcher, "https://no-such-host.invalid/")
    assert error.result == "unreachable"
    assert "the host has no address" in str(error)


async def test_proxies_of_the_environment_are_not_used(
    fetcher: Fetcher, host: DocumentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert (await fetcher.get(host.url("/jwks.json"), "a/b")).body == b'{"keys": []}'


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (b"", None),
        (b"max-age=60", 60),
        (b"public, Max-Age=60", 60),
        (b'max-age="60"', 60),
        (b"no-store", 0),
        (b"no-cache, max-age=60", 0),
        (b"max-age=-1", None),
        (b"max-age=99999999999999", None),
        (b"max-age=\xb2", None),
        (b"\xff\xfe", None),
    ],
)
def test_how_long_an_answer_may_be_kept(field: bytes, seconds: int | None) -> None:
    assert max_age(field) == seconds


def test_targets_are_https_alone() -> None:
    assert why_no_target("https://a.example/jwks?x=y") is None
    for url in ("http://a.example/", "file:///etc/passwd", "gopher://a.example/", "https://", "//a.example", "https:a"):
        assert why_no_target(url) == "is no absolute https URL"
    for url in ("https://a\\@b.example/", "https://a.example/\r\nHost: b", "https://ä.example/", "https://a b/"):
        assert why_no_target(url) is not None


def test_a_file_of_authorities_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(OSError, match=r"."):
        Fetcher(ca_file=tmp_path / "ca.pem")
