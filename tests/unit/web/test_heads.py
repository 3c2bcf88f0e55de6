"""What the head of a request must be, whatever the parser let pass."""

import pytest

from app.web.heads import HEAD_BYTES, Refusal, check_head, size_of, too_large

HOST = (b"host", b"auth.example.com:8080")


@pytest.mark.parametrize(
    ("version", "fields", "host"),
    [
        ("1.1", [HOST], b"auth.example.com:8080"),
        ("1.1", [(b"accept", b"*/*"), HOST, (b"transfer-encoding", b"chunked")], b"auth.example.com:8080"),
        ("1.1", [HOST, (b"transfer-encoding", b" Chunked ")], b"auth.example.com:8080"),
        ("1.1", [(b"host", b"")], b""),
        ("1.1", [(b"host", b"[2001:db8::1]:443")], b"[2001:db8::1]:443"),
        ("1.1", [(b"host", b"x_y-1.example.")], b"x_y-1.example."),
        ("1.0", [HOST], b"auth.example.com:8080"),
        ("1.0", [], None),
    ],
)
def test_a_good_head_names_its_host(version: str, fields: list[tuple[bytes, bytes]], host: bytes | None) -> None:
    assert check_head(version, fields, None) == host


@pytest.mark.parametrize(
    ("version", "fields", "status"),
    [
        ("1.1", [], 400),
        ("1.1", [HOST, (b"content-length", b"0" * 19 + b"1")], 400),
        ("1.1", [HOST, HOST], 400),
        ("1.0", [HOST, HOST], 400),
        ("1.1", [(b"host", b"a"), (b"host", b"")], 400),
        ("1.1", [(b"host", b"a b")], 400),
        ("1.1", [(b"host", b"a, b")], 400),
        ("1.1", [(b"host", b"a/b")], 400),
        ("1.1", [(b"host", b"user@a")], 400),
        ("1.1", [(b"host", b"a:port")], 400),
        ("1.1", [(b"host", b"[::1")], 400),
        ("1.1", [(b"host", b"a\n")], 400),
        ("1.1", [(b"host", b"\xff")], 400),
        ("2.0", [HOST], 505),
        ("0.9", [], 505),
        ("1.1", [HOST, (b"transfer-encoding", b"gzip, chunked")], 501),
        ("1.1", [HOST, (b"transfer-encoding", b"identity, chunked")], 501),
        ("1.1", [HOST, (b"transfer-encoding", b"")], 400),
        ("1.1", [HOST, (b"transfer-encoding", b"gzip")], 400),
        ("1.1", [HOST, (b"transfer-encoding", b"chunked, gzip")], 400),
        ("1.1", [HOST, (b"transfer-encoding", b"chunked, chunked")], 400),
        ("1.0", [HOST, (b"transfer-encoding", b"chunked")], 400),
    ],
)
def test_a_bad_head_is_refused(version: str, fields: list[tuple[bytes, bytes]], status: int) -> None:
    with pytest.raises(Refusal) as refused:
        check_head(version, fields, None)
    assert refused.value.status == status
    assert refused.value.status_line.startswith(b"HTTP/1.1 %d " % status)


def test_another_host_than_before_is_checked() -> None:
    assert check_head("1.1", [(b"host", b"b")], b"a") == b"b"
    with pytest.raises(Refusal):
        check_head("1.1", [(b"host", b"b b")], b"a")


def test_a_size_is_that_of_the_bytes_sent() -> None:
    assert size_of(b"/path", [(b"host", b"x"), (b"accept", b"*/*")]) == len(b"/pathhost: x\r\naccept: */*\r\n")


def test_a_long_target_has_a_status_of_its_own() -> None:
    assert too_large(b"/").status == 431
    assert too_large(b"/" * HEAD_BYTES).status == 414
