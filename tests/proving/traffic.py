"""The continuous client: it issues, introspects, rotates and revokes on every replica and has each answer judged."""

import asyncio
import json
import random
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from tests.programs.service_clients import RegisteredClient, with_secret
from tests.proving.model import SCOPES, Family, Model, Token, note_revoke_sent, note_revoked, scope_of
from tests.proving.wire import Answer, NoAnswer, Wire, basic

OPAQUE = with_secret("prover", scopes=list(SCOPES))
SIGNED_FORM = with_secret("prover-jwt", scopes=list(SCOPES), access_token={"format": "jwt"})
REFRESHED = with_secret(
    "prover-family",
    scopes=list(SCOPES),
    grants=["client_credentials", "refresh_token"],
    refresh_token={"enabled": True, "seconds": 7200},
)
PROVERS = (OPAQUE, SIGNED_FORM, REFRESHED)
_CLIENT_OF = {"opaque": OPAQUE, "jwt": SIGNED_FORM, "family": REFRESHED}
_KINDS = ("opaque", "opaque", "jwt", "family")

RECENT = 400
"""Revoked tokens that are asked for again and again."""


def authorization(client: RegisteredClient) -> str:
    return basic(client.id, client.secret)


_AUTHORIZATION = {kind: authorization(client) for kind, client in _CLIENT_OF.items()}


class Traffic:
    """Requests to several replicas, judged by a model. A context manager: it runs ``workers`` of them."""

    def __init__(self, model: Model, ports: Sequence[int], *, workers: int = 8, pause: float = 0.004) -> None:
        self.model = model
        self.wires = [Wire(port) for port in ports]
        self.issues = self.revokes = self.rotates = True
        """What the running workers do beside introspection."""
        self.kinds: tuple[str, ...] = _KINDS
        self._workers = workers
        self._pause = pause
        self._random = random.Random(7)
        self._recent: deque[Token] = deque(maxlen=RECENT)
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._workers)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Each finishes the step that it is in: an answer is judged whenever it comes.
        self._stopping = True
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        self.close()
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def close(self) -> None:
        for wire in self.wires:
            wire.close()

    # ------------------------------------------------------------------ single steps

    def any_wire(self) -> Wire:
        return self._random.choice(self.wires)

    async def issue(self, kind: str = "opaque", wire: Wire | None = None) -> Token | None:
        """A new token; None for an outage."""
        number = self.model.next_number()
        answer = await self._post(wire, kind, "/oauth/token", grant_type="client_credentials", scope=scope_of(number))
        if answer is None:
            return None
        if answer.status != 200:
            self.model.judge_refusal("issuing", answer)
            return None
        family = Family(number) if kind == "family" else None
        if family is not None:
            self.model.families.append(family)
        return self._take_tokens(number, kind, answer, family)

    async def introspect(self, token: Token, wire: Wire | None = None) -> str:
        """What came of it: ``active``, ``inactive``, ``unavailable``, ``unanswered`` or ``wrong``."""
        sent = time.monotonic()
        answer = await self._post(wire, token.kind, "/oauth/introspect", token=token.text)
        return "unanswered" if answer is None else self.model.judge_introspection(token, sent, answer)

    async def revoke(self, token: Token, wire: Wire | None = None) -> bool:
        """Revoke one access token; whether that was acknowledged."""
        note_revoke_sent([token])
        answer = await self._post(wire, token.kind, "/oauth/revoke", token=token.text)
        if answer is None:
            return False
        if answer.status != 200:
            self.model.judge_refusal("a revocation", answer)
            return False
        note_revoked([token])
        self._recent.append(token)
        return True

    async def revoke_family(self, family: Family, wire: Wire | None = None) -> bool:
        """Revoke by the refresh token, with all access tokens; whether that was acknowledged."""
        note_revoke_sent(family.members)
        answer = await self._post(wire, "family", "/oauth/revoke", token=family.refresh_token)
        if answer is None:
            return False
        if answer.status != 200:
            self.model.judge_refusal("a revocation", answer)
            return False
        note_revoked(family.members)
        self._recent.extend(family.members)
        return True

    async def rotate(self, family: Family, wire: Wire | None = None) -> bool:
        """Use the refresh token; whether its successors came."""
        family.busy = True
        try:
            number, presented = self.model.next_number(), family.refresh_token
            # The scope is the first token's: a refresh may not widen it.
            answer = await self._post(
                wire, "family", "/oauth/token", grant_type="refresh_token", refresh_token=presented
            )
            if answer is None:
                family.doubtful = True
                return False
            if answer.status == 400 and json.loads(answer.body)["error"] == "invalid_grant":
                family.doubtful = True
                if not self.model.gone(family.members[0]):
                    self.model.lost.add(-number)
                return False
            if answer.status != 200:
                family.doubtful = True
                self.model.judge_refusal("a refresh", answer)
                return False
            family.used.append(presented)
            self._take_tokens(family.number, "family", answer, family)
            return True
        finally:
            family.busy = False

    async def present(self, refresh_token: str) -> Answer | None:
        """Use a refresh token, whatever comes of it."""
        return await self._post(None, "family", "/oauth/token", grant_type="refresh_token", refresh_token=refresh_token)

    async def ask_about(self, token: Token) -> Answer:
        """Introspect without a judgement: whoever asks knows better. Raises NoAnswer."""
        self.model.requests["/oauth/introspect"] += 1
        return await self.any_wire().post("/oauth/introspect", _AUTHORIZATION[token.kind], token=token.text)

    async def revoke_stranger(self, token: Token) -> bool:
        """Revoke where the token is unknown, which is fine (RFC 7009 section 2.2). Raises NoAnswer."""
        self.model.requests["/oauth/revoke"] += 1
        answer = await self.any_wire().post("/oauth/revoke", _AUTHORIZATION[token.kind], token=token.text)
        return answer.status == 200

    async def ask_all(self, tokens: Iterable[Token], at_once: int = 16) -> list[str]:
        """Introspect each of these on every replica until it is answered, for half a minute at most."""
        waiting = [(token, wire) for token in tokens for wire in self.wires]
        outcomes: list[str] = []

        async def ask_some() -> None:
            while waiting:
                token, wire = waiting.pop()
                give_up_at = time.monotonic() + 30
                while (outcome := await self.introspect(token, wire)) in {"unavailable", "unanswered"}:
                    if time.monotonic() > give_up_at:
                        break
                    await asyncio.sleep(0.05)
                outcomes.append(outcome)

        await asyncio.gather(*(ask_some() for _ in range(at_once)))
        return outcomes

    async def check(self, most: int = 500) -> None:
        """Ask every replica about the newest tokens, living and dead; all must be answered."""
        model = self.model
        outcomes = await self.ask_all([*model.alive()[-most:], *model.dead()[-most:]])
        assert set(outcomes) <= {"active", "inactive"}, Counter(outcomes)

    async def until_well(self, seconds: float = 30) -> float:
        """Until every replica issues, introspects and revokes again; after how many seconds."""
        began = time.monotonic()
        for wire in self.wires:
            while True:
                token = await self.issue("opaque", wire)
                found = token is not None and await self.introspect(token, wire) == "active"
                if token is not None and found and await self.revoke(token, wire):
                    break
                assert time.monotonic() - began < seconds, "a replica did not become well again"
                await asyncio.sleep(0.02)
        return time.monotonic() - began

    # ------------------------------------------------------------------ the continuous client

    async def _work(self) -> None:
        while not self._stopping:
            await self._step()
            await asyncio.sleep(self._pause)

    async def _step(self) -> None:
        model, choose = self.model, self._random.random()
        tokens = model.tokens
        if self.issues and (choose < 0.25 or len(tokens) < 20):
            await self.issue(self._random.choice(self.kinds))
        elif choose < 0.33 and self.revokes and tokens:
            await self._revoke_something()
        elif choose < 0.38 and self.rotates and model.families:
            family = self._random.choice(model.families[-200:])
            if family.is_usable:
                await self.rotate(family)
        elif choose < 0.65 and self._recent:
            await self.introspect(self._random.choice(self._recent))
        elif tokens:
            await self.introspect(self._random.choice(tokens[-2_000:]))

    async def _revoke_something(self) -> None:
        if self._random.random() < 0.3 and self.model.families:
            family = self._random.choice(self.model.families[-200:])
            if family.is_usable:
                family.busy = True
                await self.revoke_family(family)
            return
        token = self._random.choice(self.model.tokens[-1_000:])
        if token.revoke_sent is None and token.kind != "family":
            # Known to every cache first: that is what may be stale.
            for wire in self.wires:
                await self.introspect(token, wire)
            await self.revoke(token)

    def _take_tokens(self, number: int, kind: str, answer: Answer, family: Family | None) -> Token:
        response = json.loads(answer.body)
        token = Token(number, kind, response["access_token"], time.time() + response["expires_in"] - 1)
        self.model.add(token)
        if family is not None:
            family.members.append(token)
            family.refresh_token = response["refresh_token"]
        return token

    async def _post(self, wire: Wire | None, kind: str, path: str, **form: str) -> Answer | None:
        self.model.requests[path] += 1
        try:
            return await (wire or self.any_wire()).post(path, _AUTHORIZATION[kind], **form)
        except NoAnswer:
            self.model.unanswered += 1
            return None
