"""The load client: runs in a pod, asks without pause, and checks every answer against what it knows must be true.

It is one file that needs nothing but Python, PyJWT and the standard library, because it is run from the service's own
image. Protocol: the first line of standard input is its configuration in JSON; then ``phase NAME`` and ``stop``. It
prints one JSON object a line: ``started`` once every kind of request has been answered, and at the end the counts by
phase and kind.

What it holds to be true:
- a token that was issued, and not revoked, is active; one whose revocation was answered with 200 is not;
- a JWT verifies with the JWKS, which is fetched again only when its ``max-age`` is over, whatever the token's kid;
- the JWKS is never empty;
- a refusal is a 503 with Retry-After. Anything else that is no answer is a failure: other statuses, lost connections,
  timeouts.
Every user has a connection of its own, kept until the service says ``Connection: close`` or is seen to have closed it.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import jwt

TIMEOUT_SECONDS = 10.0
KEPT_EXAMPLES = 10
COUNTS = ("asked", "ok", "refused", "failed", "wrong", "repeated")


class Failure(Exception):
    """No answer, or one that should not be."""


class Refused(Failure):
    """A 503 with Retry-After."""


class Wrong(Exception):
    """An answer that cannot be true."""


class Connection:
    """One HTTP/1.1 connection, opened when needed."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, auth: str = "", body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """Raises Failure."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._ask(method, path, auth, body)
        except TimeoutError:
            self.close()
            raise Failure(f"no answer in {TIMEOUT_SECONDS:g} s") from None
        except (OSError, EOFError, ValueError) as error:
            self.close()
            raise Failure(f"{type(error).__name__}: {error}") from None

    async def _ask(self, method: str, path: str, auth: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self.reader is None or self.reader.at_eof():  # a pool drops what is seen to be closed
            self.close()
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        assert self.writer is not None
        head = [f"{method} {path} HTTP/1.1", f"host: {self.host}:{self.port}"]
        if auth:
            head.append(f"authorization: Basic {auth}")
        if method == "POST":
            head += ["content-type: application/x-www-form-urlencoded", f"content-length: {len(body)}"]
        self.writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        await self.writer.drain()
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        content = await self.reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            self.close()
        return status, headers, content

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


class Load:
    """All users, and what they saw."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.phase = "start"
        self.stopped = asyncio.Event()
        self.phases: dict[str, dict[str, dict[str, Any]]] = {}
        self.keys: dict[str, Any] = {}
        self.keys_until = 0.0
        self.keys_lock = asyncio.Lock()
        self.kids: set[str] = set()
        self.held: list[tuple[str, str, str]] = []

    def auth(self, client: str) -> str:
        return base64.b64encode(f"{client}:{self.config['secrets'][client]}".encode()).decode()

    async def call(self, user: Connection, kind: str, *request: Any, check: Callable[[bytes], Any]) -> Any:
        """One request with its repetitions: what ``check`` makes of the answer, or None if it failed in the end."""
        counts = self.phases.setdefault(self.phase, {}).setdefault(kind, {**dict.fromkeys(COUNTS, 0), "examples": []})
        counts["asked"] += 1
        began, outcome, reason = time.time(), "", ""
        for attempt in range(1 + self.config.get("retries", 0)):
            if attempt:
                counts["repeated"] += 1
                await asyncio.sleep(self.config.get("retry_seconds", 0.0))
            try:
                status, headers, body = await user.ask(*request)
                if status == 503 and "retry-after" in headers:
                    raise Refused(f"503 with Retry-After: {body[:200]!r}")
                if status != 200:
                    raise Failure(f"status {status}: {body[:200]!r}")
                result = check(body)
            except Refused as error:
                outcome, reason = "refused", str(error)
            except Failure as error:
                outcome, reason = "failed", str(error)
            except Wrong as error:
                outcome, reason = "wrong", str(error)
                break
            else:
                counts["ok"] += 1
                return result
        counts[outcome] += 1
        if len(counts["examples"]) < KEPT_EXAMPLES:
            counts["examples"].append(f"{began:.3f} after {time.time() - began:.3f} s: {outcome}: {reason}")
        return None

    async def issue(self, user: Connection, kind: str, client: str) -> Any:
        form = b"grant_type=client_credentials"
        token = lambda body: json.loads(body)["access_token"]  # noqa: E731
        return await self.call(user, kind, "POST", "/oauth/token", self.auth(client), form, check=token)

    async def introspect(self, user: Connection, kind: str, client: str, token: str, *, active: bool) -> None:
        def check(body: bytes) -> bool:
            if json.loads(body)["active"] is not active:
                raise Wrong(f"active is {not active} and must be {active}")
            return True

        await self.call(
            user, kind, "POST", "/oauth/introspect", self.auth(client), b"token=" + token.encode(), check=check
        )

    async def revoke(self, user: Connection, client: str, token: str) -> Any:
        form = b"token=" + token.encode()
        return await self.call(user, "revoke", "POST", "/oauth/revoke", self.auth(client), form, check=lambda _: True)

    async def fetch_keys(self, user: Connection) -> None:
        def check(body: bytes) -> dict[str, Any]:
            keys = {entry["kid"]: jwt.PyJWK(entry) for entry in json.loads(body)["keys"]}
            if not keys:
                raise Wrong("the JWKS is empty")
            return keys

        found = await self.call(user, "jwks", "GET", "/jwks.json", check=check)
        if found:
            self.keys, self.keys_until = found, time.monotonic() + self.config["jwks_max_age"]

    async def verify(self, user: Connection, token: str, kind: str = "verify offline") -> None:
        """As a resource server that never asks the service but for the JWKS, and never before ``max-age`` is over."""
        async with self.keys_lock:
            if time.monotonic() >= self.keys_until:
                await self.fetch_keys(user)
        counts = self.phases.setdefault(self.phase, {}).setdefault(kind, {**dict.fromkeys(COUNTS, 0), "examples": []})
        counts["asked"] += 1
        try:
            kid = jwt.get_unverified_header(token)["kid"]
            self.kids.add(kid)
            if kid not in self.keys:
                raise Wrong(f"unknown kid {kid}")
            key = self.keys[kid]
            jwt.decode(token, key.key, algorithms=[key.algorithm_name], issuer=self.config["issuer"],
                       options={"verify_aud": False, "require": ["exp", "iss", "sub"]})  # fmt: skip
            counts["ok"] += 1
        except (Wrong, jwt.PyJWTError) as error:
            counts["wrong"] += 1
            if len(counts["examples"]) < KEPT_EXAMPLES:
                counts["examples"].append(f"{time.time():.3f}: {type(error).__name__}: {error}")

    async def round(self, user: Connection, step: int) -> None:
        """One request of each kind, and what must follow from it."""
        opaque, signed = self.config["opaque_client"], self.config["jwt_client"]
        await self.pause()
        token = await self.issue(user, "issue opaque", opaque)
        if token is not None:
            await self.pause()
            await self.introspect(user, "introspect opaque", opaque, token, active=True)
            await self.pause()
            if await self.revoke(user, opaque, token):
                await self.pause()
                await self.introspect(user, "introspect revoked", opaque, token, active=False)
        await self.pause()
        token = await self.issue(user, "issue JWT", signed)
        if token is not None:
            await self.verify(user, token)
            await self.pause()
            await self.introspect(user, "introspect JWT", signed, token, active=True)
        await self.pause()
        await self.call(user, "jwks", "GET", "/jwks.json", check=lambda body: json.loads(body)["keys"][0])
        client, token, form = self.held[step % len(self.held)]
        await self.pause()
        await self.introspect(user, f"introspect held {form}", client, token, active=True)
        if form == "JWT":
            await self.verify(user, token, "verify held offline")

    async def pause(self) -> None:
        await asyncio.sleep(self.config["users"] / self.config["rate"])

    async def user(self, number: int) -> None:
        connection = Connection(self.config["host"], self.config["port"])
        await asyncio.sleep(number / self.config["rate"])
        for step in itertools.count(number):
            if self.stopped.is_set():
                break
            if self.config.get("only") == "jwks":
                await self.pause()
                await self.call(connection, "jwks", "GET", "/jwks.json", check=lambda body: json.loads(body)["keys"][0])
            else:
                await self.round(connection, step)
        connection.close()

    async def hold(self) -> None:
        """Tokens from before whatever comes. Raises SystemExit if the service does not give them."""
        user = Connection(self.config["host"], self.config["port"])
        for _ in range(100):  # a Service leads to its pods a moment after they are ready
            with contextlib.suppress(Failure):
                if (await user.ask("GET", "/health/ready"))[0] == 200:
                    break
            await asyncio.sleep(0.3)
        for client, form in ((self.config["opaque_client"], "opaque"), (self.config["jwt_client"], "JWT")) * 4:
            token = await self.issue(user, f"issue {form}", client)
            if token is None:
                raise SystemExit(f"no token to begin with: {self.phases}")
            self.held.append((client, token, form))
        user.close()

    async def run(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        if self.config.get("only") != "jwks":
            await self.hold()
        self.phase = "before"
        users = [asyncio.create_task(self.user(number)) for number in range(self.config["users"])]
        print(json.dumps({"event": "started"}), flush=True)
        while True:
            line = (await loop.run_in_executor(None, sys.stdin.readline)).split()
            if not line or line == ["stop"]:
                break
            self.phase = line[1]
            print(json.dumps({"event": "phase", "phase": self.phase}), flush=True)
        self.stopped.set()
        await asyncio.gather(*users)
        return {"event": "ended", "phases": self.phases, "kids": sorted(self.kids)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(Load(json.loads(sys.stdin.readline())).run())), flush=True)
