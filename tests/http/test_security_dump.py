"""What a thief of Redis' content has: digests and records, nothing that can be presented or tried."""

import hashlib
from collections.abc import Callable

import pytest
import redis

from tests.programs.service_calls import ASSERTION_TYPE, ServiceCalls, client_assertion, good_json
from tests.programs.service_clients import BASIC, CANARY, CHOSEN, JWT, OTHER, REFRESHER, REFRESHER_JWT
from tests.programs.service_fixtures import FAST_PATHS, StartService
from tests.programs.service_process import ServiceProcess


@pytest.fixture(scope="module")
def fast_path() -> str:
    """One mode will do: what is written does not depend on what carries the request."""
    return FAST_PATHS[0]


def contents(client: redis.Redis, prefix: str) -> list[bytes]:
    """Every name and value under the prefix. Raises KeyError for a type that this function does not read."""
    reads: dict[object, Callable[[bytes], object]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"zset": lambda name: client.zrange(name, 0, -1),
        b"set": client.smembers,
    }
    found: list[bytes] = []
    for name in client.scan_iter(match=prefix + "*", count=1000):
        found.append(name)
        value = reads[client.type(name)](name)
        if isinstance(value, dict):
            found += [*value.keys(), *value.values()]
        elif isinstance(value, bytes):
            found.append(value)
        elif value is not None:  # it may have ended since
            found += list(value)  # type: ignore[call-overload]
    return found


def test_a_dump_of_redis_holds_no_token_and_no_secret(
    start_service: StartService,
    calls_of: Callable[[ServiceProcess], ServiceCalls],
    redis_url: str,
    redis_key_prefix: str,
) -> None:
    process = start_service(REDIS_URL=redis_url, REDIS_KEY_PREFIX=redis_key_prefix)
    service = calls_of(process)
    tokens: list[str] = []
    for client in (BASIC, CHOSEN, OTHER, JWT, REFRESHER, REFRESHER_JWT):
        issued = service.token(client)
        given = [str(issued[name]) for name in ("access_token", "refresh_token") if name in issued]
        if len(given) == 2:
            refreshed = good_json(service.refresh(client, given[1]))
            given += [str(refreshed["access_token"]), str(refreshed["refresh_token"])]
            service.revoke(client, given[2])
        for token in given:
            service.introspect(client, token)
        tokens += given
    service.revoke(JWT, service.access_token(JWT))
    assertion = client_assertion(process.base_url)
    form = {"grant_type": "client_credentials", "client_assertion": assertion}
    good_json(service.http.post("/oauth/token", data={**form, "client_assertion_type": ASSERTION_TYPE}))
    service.http.post("/oauth/token", auth=(BASIC.id, f"{CANARY}-wrong"), data=form)

    kept = b"\n".join(contents(redis.Redis.from_url(redis_url), redis_key_prefix))
    # It is the right place that is searched: the digests and the records of these tokens are there.
    assert hashlib.sha256(tokens[0].encode()).digest() in kept
    assert REFRESHER.id.encode() in kept
    for token in [*tokens, assertion]:
        # Not the end of a token either: its digest is all that is kept of it.
        assert token.encode() not in kept
        assert token[-24:].encode() not in kept
        assert token[10:40].encode() not in kept
    assert CANARY.encode() not in kept
    for secret in (BASIC.secret, CHOSEN.secret):
        assert hashlib.sha256(secret.encode()).digest() not in kept
    assert b"$argon2" not in kept
    assert b"PRIVATE" not in kept
