"""The forms of REDIS_URL."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage.redis_options import Credentials, Deployment, RedisOptions, parse_redis_url

SINGLE, SENTINEL, CLUSTER = Deployment.SINGLE, Deployment.SENTINEL, Deployment.CLUSTER


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://localhost", RedisOptions(SINGLE, (("localhost", 6379),))),
        ("redis://localhost:7000/3", RedisOptions(SINGLE, (("localhost", 7000),), database=3)),
        ("rediss://[::1]:6380/0", RedisOptions(SINGLE, (("::1", 6380),), tls=True)),
        (
            "redis://me:p%40ss%3Aw@h",
            RedisOptions(SINGLE, (("h", 6379),), url_credentials=Credentials("me", "p@ss:w")),
        ),
        ("redis://:only@h", RedisOptions(SINGLE, (("h", 6379),), url_credentials=Credentials(None, "only"))),
        (
            "redis+sentinel://a,b:1,c/main/2",
            RedisOptions(SENTINEL, (("a", 26379), ("b", 1), ("c", 26379)), database=2, master_name="main"),
        ),
        ("rediss+cluster://a:1,b:2", RedisOptions(CLUSTER, (("a", 1), ("b", 2)), tls=True)),
        ("redis+cluster://a/0", RedisOptions(CLUSTER, (("a", 6379),))),
    ],
)
def test_urls_that_are_understood(url: str, options: RedisOptions) -> None:
    assert parse_redis_url(url) == options


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://h", "scheme"),
        ("localhost:6379", "scheme"),
        ("", "scheme"),
        ("redis://", "no host"),
        ("redis://h:port", "impossible host or port"),
        ("redis://h:99999", "impossible host or port"),
        ("redis://h\n", "characters"),
        ("redis://[::1", "not a URL"),
        ("redis://h/123456", "not a database number"),
        ("redis://a,b", "several hosts"),
        ("redis://h/zero", "not a database number"),
        ("redis://h/0/1", "not a database number"),
        ("redis://h?ssl=1", "query"),
        ("redis://h#f", "fragment"),
        ("redis+sentinel://h", "name the master"),
        ("redis+cluster://h/1", "no database but 0"),
    ],
)
def test_urls_that_are_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_redis_url(url)


@given(st.text(max_size=60) | st.text("redi+sluntcp:/@[]?#,.%0", max_size=60).map("redis://".__add__))
def test_no_text_is_anything_but_understood_or_refused(text: str) -> None:
    with suppress(ValueError):
        parse_redis_url(text)


def test_nothing_shows_a_password() -> None:
    assert "hidden" not in repr(parse_redis_url("redis://me:hidden@h"))
    with pytest.raises(ValueError, match="number") as caught:
        parse_redis_url("redis://me:hidden@h/x")
    assert "hidden" not in str(caught.value)
