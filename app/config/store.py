"""Settings: where tokens are remembered."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

from app.config.values import parse_key_prefix, parse_path, parse_redis_url, setting
from app.model.secret_text import SecretText

_FILE = "the path of a readable file"


class StoreFallback(StrEnum):
    """What happens where Redis is unreachable at start."""

    MEMORY = "memory"
    FAIL = "fail"


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Store"""

    redis_url: Annotated[
        SecretText | None,
        setting(
            "Where Redis is; without it tokens are remembered in the memory of this process. `rediss` is TLS.",
            allowed="redis://host:port/database, redis+sentinel://host:port,host:port/master-name/database or "
            "redis+cluster://host:port,host:port, each with rediss too",
            parse=parse_redis_url,
        ),
    ] = None
    redis_url_file: Annotated[Path | None, setting("", allowed=_FILE, parse=parse_path)] = None
    redis_username: Annotated[str | None, setting("The ACL user; wins over one in `REDIS_URL`.")] = None
    redis_username_file: Annotated[Path | None, setting("", allowed=_FILE, parse=parse_path)] = None
    redis_password: Annotated[SecretText | None, setting("The password; wins over one in `REDIS_URL`.")] = None
    redis_password_file: Annotated[Path | None, setting("", allowed=_FILE, parse=parse_path)] = None
    redis_ca_file: Annotated[
        Path | None,
        setting(
            "The certificates (PEM) that Redis' certificate must lead to.",
            allowed=_FILE,
            parse=parse_path,
            default="the system's",
        ),
    ] = None
    redis_cert_file: Annotated[
        Path | None, setting("The service's own certificate (PEM) towards Redis.", allowed=_FILE, parse=parse_path)
    ] = None
    redis_key_file: Annotated[
        Path | None, setting("The private key (PEM) of `REDIS_CERT_FILE`.", allowed=_FILE, parse=parse_path)
    ] = None
    redis_key_prefix: Annotated[
        str,
        setting(
            "Stands before every key and channel: installations with different prefixes do not see each other.",
            allowed="1 to 128 of letters, digits and _ . / : -",
            parse=parse_key_prefix,
        ),
    ] = "auth-service"
    redis_wait_replicas: Annotated[
        int,
        setting(
            "How many replicas of Redis must have a revocation or the use of a refresh token before it is answered; "
            "without as many in time it is answered with 503.",
            ge=0,
            le=10,
        ),
    ] = 0
    redis_allow_eviction: Annotated[
        Switch,
        setting(
            "`on` accepts a Redis whose `maxmemory-policy` is not `noeviction`: when it is full it may drop "
            "revocations, and revoked tokens live again."
        ),
    ] = Switch.OFF
    store_batching: Annotated[
        Switch,
        setting(
            "`on`: what is asked of Redis at one moment shares one round trip; `off`: every operation has its own, "
            "slower and otherwise the same."
        ),
    ] = Switch.ON
    cache_max_entries: Annotated[
        int,
        setting(
            "How many answers of Redis are remembered for introspection; 0 asks Redis every time.", ge=0, le=1_000_000
        ),
    ] = 10_000
    cache_ttl_seconds: Annotated[
        int, setting("For how long an answer is remembered at most, and never past the token's end.", ge=1, le=86_400)
    ] = 300
    cache_max_staleness_seconds: Annotated[
        float,
        setting(
            "A token that another replica revoked longer ago than this is never answered as active, whatever fails.",
            ge=0.2,
            le=60,
        ),
    ] = 2.0
    store_fallback: Annotated[
        StoreFallback,
        setting(
            "When Redis cannot be reached at start: `memory` serves from this process's memory with a warning; "
            "`fail` stays not ready and keeps trying."
        ),
    ] = StoreFallback.MEMORY
    memory_store_max_tokens: Annotated[
        int,
        setting(
            "How many tokens the in-memory store holds; when it is full, issuing answers 503, and to a client that "
            "holds nine times as many as are free, before that.",
            ge=1,
        ),
    ] = 1_000_000
