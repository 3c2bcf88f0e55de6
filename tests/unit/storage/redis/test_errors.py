"""Redis' refusals as errors of the store, and none of its words."""

import hiredis
import pytest

from app.storage.interface import StoreError, StoreFull, StoreUnavailable
from app.storage.redis.errors import Redirected, ScriptMissing, StoreRefused, again, translate


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", StoreFull),
        ("NOSCRIPT No matching script. Please use EVAL.", ScriptMissing),
        ("LOADING Redis is loading the dataset in memory", StoreUnavailable),
        ("READONLY You can't write against a read only replica.", StoreUnavailable),
        ("CLUSTERDOWN Hash slot not served", StoreUnavailable),
        ("NOAUTH Authentication required.", StoreRefused),
        ("WRONGPASS invalid username-password pair or user is disabled.", StoreRefused),
        ("NOPERM this user has no permissions to run the 'get' command", StoreRefused),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", StoreUnavailable),
        ("ERR unknown command 'x', with args beginning with: 'secret'", StoreUnavailable),
        ("MOVED what", StoreUnavailable),
        ("", StoreUnavailable),
    ],
)
def test_each_refusal_has_its_error(reply: str, kind: type[StoreError]) -> None:
    error = translate(hiredis.ReplyError(reply))
    assert type(error) is kind
    assert str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("reply", "ask", "host", "port"),
    [
        ("MOVED 3999 127.0.0.1:6381", False, "127.0.0.1", 6381),
        ("ASK 3999 redis-2.example:6381", True, "redis-2.example", 6381),
        ("MOVED 3999 fd00::1:6381", False, "fd00::1", 6381),
        ("MOVED 3999 :6381", False, "", 6381),
    ],
)
def test_a_redirection_says_where_to(reply: str, ask: bool, host: str, port: int) -> None:
    error = translate(hiredis.ReplyError(reply))
    assert isinstance(error, Redirected)
    assert (error.ask, error.host, error.port) == (ask, host, port)
    once_more = again(error)
    assert isinstance(once_more, Redirected)
    assert once_more is not error
    assert (str(once_more), once_more.port) == (str(error), port)
