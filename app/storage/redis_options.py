"""Where Redis is and how to be let in: the forms of ``REDIS_URL`` and what stands beside it.

Apart from the Redis store, because the settings and the key source read the same URL.

Rules:
- Credentials and certificates are read when a connection is made, so that renewed ones are taken up without a restart.
- A URL may carry a user name and a password; they do not appear in any representation.
"""

import re
import ssl
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

_DATABASE = re.compile(r"[0-9]{1,5}")

DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379

Address = tuple[str, int]
"""Host and port."""


class Deployment(Enum):
    SINGLE = "redis"
    SENTINEL = "redis+sentinel"
    CLUSTER = "redis+cluster"


class Credentials(msgspec.Struct, frozen=True):
    """Who the service is to Redis; both None where Redis asks nobody."""

    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return "Credentials(…)"


class TlsFiles(msgspec.Struct, frozen=True):
    """PEM files for TLS towards Redis."""

    ca: Path | None = None
    """The authorities that Redis' certificate must lead to; None for the system's."""
    certificate: Path | None = None
    """The service's own certificate chain, with ``key``; None for none."""
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """A fresh context from the files as they are now. Raises OSError (ssl.SSLError included)."""
        context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


class RedisOptions(msgspec.Struct, frozen=True):
    """A deployment of Redis, from ``REDIS_URL``."""

    deployment: Deployment
    addresses: tuple[Address, ...]
    """The server; or the sentinels; or some of the cluster's nodes."""
    database: int = 0
    master_name: str = ""
    """What the sentinels call the master; empty for other deployments."""
    tls: bool = False
    url_credentials: Credentials = Credentials()
    """What the URL says; settings of their own win over it."""


CredentialsReader = Callable[[], Credentials]
"""Gives the credentials as they are now. May raise OSError where a file cannot be read."""


def parse_redis_url(url: str) -> RedisOptions:
    """``redis://[user:password@]host[:port][/database]``, or with several hosts separated by commas
    ``redis+sentinel://…/master-name[/database]`` and ``redis+cluster://…``; ``rediss`` instead of ``redis`` is TLS.

    Raises ValueError with a clause that says what is wrong, fit to follow ``REDIS_URL:``, and quotes nothing.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("contains characters that a URL may not contain")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("is not a URL") from None
    scheme = parts.scheme
    tls = scheme == "rediss" or scheme.startswith("rediss+")
    try:
        deployment = Deployment(scheme.replace("rediss", "redis", 1) if tls else scheme)
    except ValueError:
        raise ValueError(
            "the scheme is not redis, redis+sentinel or redis+cluster, nor one of these with rediss"
        ) from None
    if "?" in url or "#" in url:
        raise ValueError("has a query or a fragment: each option has a setting of its own")
    master_name, database = _path(parts, deployment)
    return RedisOptions(
        deployment=deployment,
        addresses=_addresses(parts, deployment),
        database=database,
        master_name=master_name,
        tls=tls,
        url_credentials=_credentials(parts),
    )


def _addresses(parts: SplitResult, deployment: Deployment) -> tuple[Address, ...]:
    default = DEFAULT_SENTINEL_PORT if deployment is Deployment.SENTINEL else DEFAULT_PORT
    addresses: list[Address] = []
    for one in parts.netloc.rpartition("@")[2].split(","):
        try:
            address = urlsplit(f"//{one}")
            host, port = address.hostname, address.port
        except ValueError:
            raise ValueError("has an impossible host or port") from None
        if not host:
            raise ValueError("has no host")
        addresses.append((host, default if port is None else port))
    if deployment is Deployment.SINGLE and len(addresses) > 1:
        raise ValueError("has several hosts, which only redis+sentinel and redis+cluster take")
    return tuple(addresses)


def _path(parts: SplitResult, deployment: Deployment) -> tuple[str, int]:
    segments = [unquote(segment) for segment in parts.path.split("/")[1:] if segment]
    master_name = ""
    if deployment is Deployment.SENTINEL:
        if not segments:
            raise ValueError("does not name the master that the sentinels watch: redis+sentinel://host:port/NAME")
        master_name = segments.pop(0)
    if not segments:
        return master_name, 0
    if len(segments) > 1 or not _DATABASE.fullmatch(segments[0]):
        raise ValueError("the path is not a database number")
    if deployment is Deployment.CLUSTER and segments != ["0"]:
        raise ValueError("a Redis Cluster has no database but 0")
    return master_name, int(segments[0])


def _credentials(parts: SplitResult) -> Credentials:
    given = parts.netloc.rpartition("@")[0]
    username, _, password = given.partition(":")
    return Credentials(unquote(username) or None, unquote(password) or None)
