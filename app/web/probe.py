"""The service asks itself, as a client does: issue, introspect, revoke. For installations where hardly anybody calls.

Rules:
- A run goes through the public application, from its routes to the store and the keys' ring: everything but the
  network in front. It counts as any client's requests do, and in two metrics of its own.
- Its client is this process's own, with a secret that is made anew at each start and kept nowhere. It may only ask for
  the probe's scope, and introspect its own tokens.
- A run that takes longer than RUN_SECONDS has failed.
"""

import asyncio
import base64
import hashlib
import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, urlencode

from app.model.clients import PROBE_ID, Client, ClientSecret
from app.protocol.base64url import base64url
from app.protocol.metadata import INTROSPECTION_PATH, REVOCATION_PATH, TOKEN_PATH
from app.randomness import RandomBytes
from app.web.asgi import App, Message

logger = logging.getLogger("app.service")

SCOPE = "auth-service:probe"
RUN_SECONDS = 10.0
_OK = 200


class ProbeFailedError(Exception):
    """A step was not answered as it must be; the message says which, and holds nothing of the answer's body."""


class SyntheticProbe:
    """Runs now and then, and tells what came of it."""

    def __init__(
        self,
        application: App,
        client: Client,
        secret: str,
        *,
        base_path: str,
        interval_seconds: float,
        on_run: Callable[[bool, float], None],
        stopwatch: Callable[[], float],
        random_bytes: RandomBytes,
        seconds: float = RUN_SECONDS,
    ) -> None:
        """``base_path`` is the issuer's path. ``on_run`` is told whether a run went well, and how long it took."""
        self._application = application
        self._authorization = b"Basic " + base64.b64encode(f"{quote_plus(client.id)}:{secret}".encode())
        self._base_path = base_path
        self._interval_seconds = interval_seconds
        self._on_run = on_run
        self._stopwatch = stopwatch
        self._random_bytes = random_bytes
        self._seconds = seconds
        self._failing = False

    async def run(self) -> None:
        """Probe for ever; the first time within one interval, at a moment that replicas do not share."""
        await asyncio.sleep(self._interval_seconds * (self._random_bytes(1)[0] + 1) / 256)
        while True:
            await self.probe()
            await asyncio.sleep(self._interval_seconds)

    async def probe(self) -> bool:
        """One run: whether it went well."""
        started = self._stopwatch()
        why = ""
        try:
            async with asyncio.timeout(self._seconds):
                await self._issue_introspect_revoke()
        except TimeoutError:
            why = f"not done within {self._seconds:g} s"
        except ProbeFailedError as error:
            why = str(error)
        self._on_run(not why, self._stopwatch() - started)
        if why and not self._failing:
            logger.warning("the synthetic probe fails: %s", why)
        elif self._failing and not why:
            logger.warning("the synthetic probe succeeds again")
        self._failing = bool(why)
        return not why

    async def _issue_introspect_revoke(self) -> None:
        issued = await self._post("issuing", TOKEN_PATH, grant_type="client_credentials", scope=SCOPE)
        token = issued.get("access_token")
        if not isinstance(token, str):
            raise ProbeFailedError("issuing: there is no access token in the answer")
        if (await self._post("introspecting", INTROSPECTION_PATH, token=token)).get("active") is not True:
            raise ProbeFailedError("introspecting: the new token is not active")
        await self._post("revoking", REVOCATION_PATH, token=token)
        if (await self._post("introspecting", INTROSPECTION_PATH, token=token)).get("active") is not False:
            raise ProbeFailedError("introspecting: the revoked token is still active")

    async def _post(self, step: str, path: str, **form: str) -> dict[str, Any]:
        body = urlencode(form).encode()
        asked = [{"type": "http.request", "body": body, "more_body": False}]
        answered: list[Message] = []

        async def receive() -> Message:
            return asked.pop() if asked else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            answered.append(message)

        route = self._base_path + path
        scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": route,
            "raw_path": route.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [
                (b"host", b"localhost"),
                (b"authorization", self._authorization),
                (b"content-type", b"application/x-www-form-urlencoded"),
                (b"content-length", str(len(body)).encode()),
                (b"user-agent", b"auth-service-probe"),
            ],
            "client": None,
            "server": None,
            "state": {},
        }
        await self._application(scope, receive, send)
        status = next((message["status"] for message in answered if message["type"] == "http.response.start"), None)
        if status != _OK:
            raise ProbeFailedError(f"{step}: answered with the status {status}")
        content = b"".join(m.get("body", b"") for m in answered if m["type"] == "http.response.body")
        try:
            decoded = json.loads(content) if content else {}
        except ValueError:
            decoded = None
        if not isinstance(decoded, dict):
            raise ProbeFailedError(f"{step}: the answer is no JSON object")
        return decoded


def probe_client(random_bytes: RandomBytes) -> tuple[Client, str]:
    """The client of this process's probe, and its secret."""
    secret = base64url(random_bytes(32)).decode("ascii")
    digest = hashlib.sha256(secret.encode()).digest()
    client = Client(
        PROBE_ID,
        secrets=(ClientSecret(sha256=digest),),
        scopes=(SCOPE,),
        access_token_seconds=60,
        rate_limit_per_minute=0,
    )
    return client, secret
