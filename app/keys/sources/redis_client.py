"""Clients of Redis for the ``redis:`` source: of one server, of the master that sentinels know, of a cluster.

Rules:
- The master is asked for before every use: a document is read every few seconds, and a client that stays with a
  demoted master would read old documents for as long as that one lives.
- Credentials are read at every connection. A sentinel that knows none is asked without.
"""

from typing import Any

import redis.asyncio as redis
from redis import exceptions
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider

from app.keys.sources.redis_address import Credentials, RedisAddress, Topology

TIMEOUT_SECONDS = 3.0
"""For connecting, and for each answer."""

Client = redis.Redis | RedisCluster


class MasterUnknown(exceptions.ConnectionError):
    """No sentinel answers and knows the master."""


class RedisClients:
    """Gives the client to use now. Connections are made by the first command."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._options = _options(address)
        self._client: Client | None = None
        self._at: tuple[str, int] | None = None

    async def current(self) -> Client:
        """Raises MasterUnknown, and what the library raises for a sentinel."""
        address = self._address
        if address.topology is Topology.SENTINEL:
            master = await self._master()
            if master != self._at:
                await self.close()
                self._client, self._at = self._to(master, address.database), master
        if self._client is None:
            self._client = self._cluster() if address.topology is Topology.CLUSTER else self._first()
        return self._client

    async def close(self) -> None:
        client, self._client, self._at = self._client, None, None
        if client is not None:
            await client.aclose()

    def _first(self) -> redis.Redis:
        return self._to(self._address.hosts[0], self._address.database)

    def _to(self, host: tuple[str, int], database: int, *, without_credentials: bool = False) -> redis.Redis:
        options = {**self._options, "max_connections": 2, "db": database}
        if without_credentials:
            options.pop("credential_provider", None)
        return redis.Redis(host=host[0], port=host[1], **options)

    def _cluster(self) -> RedisCluster:
        nodes = [ClusterNode(host, port) for host, port in self._address.hosts]
        # The document has one slot: that another one is not served is nothing to it.
        return RedisCluster(startup_nodes=nodes, require_full_coverage=False, **self._options)

    async def _master(self) -> tuple[str, int]:
        answer = await self.ask_sentinels("GET-MASTER-ADDR-BY-NAME")
        return answer[0].decode(), int(answer[1])

    async def ask_sentinels(self, question: str) -> Any:
        """The first sentinel's answer to ``SENTINEL question master-name``, as the library reads it.

        Raises MasterUnknown.
        """
        for host in self._address.hosts:
            try:
                answer = await self._ask_sentinel(host, question)
            except (exceptions.ConnectionError, exceptions.TimeoutError, OSError):
                continue
            if answer:
                return answer
        raise MasterUnknown("no sentinel knows the master")

    async def _ask_sentinel(self, host: tuple[str, int], question: str) -> Any:
        words = ("SENTINEL", question, self._address.master_name)
        answer: Any
        try:
            async with self._to(host, 0) as sentinel:
                answer = await sentinel.execute_command(*words)  # type: ignore[no-untyped-call]
        except exceptions.AuthenticationError:
            async with self._to(host, 0, without_credentials=True) as sentinel:
                answer = await sentinel.execute_command(*words)  # type: ignore[no-untyped-call]
        return answer


class _FreshCredentials(CredentialProvider):
    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        username, password = self._credentials()
        return (username, password or "") if username else (password or "",)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()  # the library's own does this too, and complains in the log


def _options(address: RedisAddress) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "socket_timeout": TIMEOUT_SECONDS,
        # Once, at once, for a connection that had died unnoticed; the keeper asks again anyway.
        "retry": Retry(NoBackoff(), 1),
    }
    if address.credentials is not None and any(address.credentials()):
        options["credential_provider"] = _FreshCredentials(address.credentials)
    if address.tls:
        options |= {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True}
        files = {"ssl_ca_certs": address.ca_file, "ssl_certfile": address.cert_file, "ssl_keyfile": address.key_file}
        options |= {name: str(path) for name, path in files.items() if path is not None}
    return options
