"""What clients do to a service while its dashboards are looked at: a rate that swings, and mistakes of every kind."""

import math
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from tests.programs.service_calls import ASSERTION_TYPE
from tests.programs.service_clients import (
    AUDITOR,
    BASIC,
    JWT,
    LIMITED,
    REFRESHER,
    REFRESHER_JWT,
    RegisteredClient,
)
from tests.programs.service_process import ServiceProcess

PUBLISHER_KEY = ec.generate_private_key(ec.SECP256R1())
"""What the client ``publisher`` signs its assertions with; its public half stands at its ``jwks_uri``."""
STRANGER = jwt.encode(
    {"sub": "a"}, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": "unknown", "typ": "at+jwt"}
)
"""A JWT of a key that the service does not have."""
_SWING_SECONDS = 70.0
Sleep = Callable[[float], bool]


class Caller:
    """One thread of requests to one service after the other."""

    def __init__(self, services: Sequence[ServiceProcess], pause: float, begun: float, stop: threading.Event) -> None:
        self._services = services
        self._pause = pause
        self._begun = begun
        self._stop = stop
        self._refresh_tokens: list[tuple[RegisteredClient, str]] = []
        self._tokens: list[tuple[RegisteredClient, str]] = []

    def work(self) -> None:
        """Until it is told to stop; what fails, fails."""
        with httpx.Client(timeout=5) as http:
            number = 0
            while not self._stop.wait(self._pause / self._swing()):
                number += 1
                with suppress(httpx.HTTPError, ValueError, KeyError):
                    self._one(http, number, self._services[number % len(self._services)].base_url)

    def _swing(self) -> float:
        """How busy the world is, from half to one and a half."""
        return 1 + 0.5 * math.sin((time.monotonic() - self._begun) / _SWING_SECONDS * 2 * math.pi)

    def _one(self, http: httpx.Client, number: int, url: str) -> None:
        turn = number % 20
        if turn in (0, 7) or not self._tokens:
            self._issue(http, url, (BASIC, JWT, REFRESHER, REFRESHER_JWT)[number // 20 % 4])
        elif turn == 10:
            self._refresh(http, url)
        elif turn == 15:
            client, token = self._tokens.pop(0)
            http.post(f"{url}/oauth/revoke", auth=client.basic, data={"token": token})
        elif turn == 18:
            http.get(f"{url}/jwks.json")
        else:
            _, token = self._tokens[number * 7 % len(self._tokens)]
            http.post(f"{url}/oauth/introspect", auth=AUDITOR.basic, data={"token": token})

    def _issue(self, http: httpx.Client, url: str, client: RegisteredClient) -> None:
        answer = http.post(f"{url}/oauth/token", auth=client.basic, data={"grant_type": "client_credentials"}).json()
        self._remember(client, answer)

    def _refresh(self, http: httpx.Client, url: str) -> None:
        if self._refresh_tokens:
            client, token = self._refresh_tokens.pop(0)
            form = {"grant_type": "refresh_token", "refresh_token": token}
            self._remember(client, http.post(f"{url}/oauth/token", auth=client.basic, data=form).json())

    def _remember(self, client: RegisteredClient, answer: dict[str, str]) -> None:
        self._tokens = [*self._tokens[-300:], (client, answer["access_token"])]
        if "refresh_token" in answer:
            self._refresh_tokens = [*self._refresh_tokens[-30:], (client, answer["refresh_token"])]


def blunder(http: httpx.Client, url: str, number: int) -> None:
    """One mistake, another one at each number."""
    token_endpoint = f"{url}/oauth/token"
    credentials = {"grant_type": "client_credentials"}
    match number % 6:
        case 0:
            http.post(token_endpoint, auth=(BASIC.id, "guess"), data=credentials)
        case 1:
            http.post(token_endpoint, auth=LIMITED.basic, data=credentials)
        case 2:
            http.post(token_endpoint, auth=BASIC.basic, data={**credentials, "scope": "nothing-like-it"})
        case 3:
            http.post(f"{url}/oauth/introspect", auth=BASIC.basic, data={"token": STRANGER})
        case 4:
            token = http.post(token_endpoint, auth=REFRESHER.basic, data=credentials).json()["refresh_token"]
            form = {"grant_type": "refresh_token", "refresh_token": token}
            for _ in range(2 if number % 24 == 4 else 1):
                http.post(token_endpoint, auth=REFRESHER.basic, data=form)
        case _:
            now = int(time.time())
            claims = {"iss": "publisher", "sub": "publisher", "aud": url, "iat": now, "exp": now + 60}
            assertion = jwt.encode(
                {**claims, "jti": secrets.token_hex(16)}, PUBLISHER_KEY, "ES256", headers={"kid": "published"}
            )
            form = {**credentials, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
            http.post(token_endpoint, data=form)


class Traffic:
    """Several callers, and one who makes mistakes, while it is entered."""

    def __init__(self, services: Sequence[ServiceProcess], callers: int = 2, pause: float = 0.008) -> None:
        self._stop = threading.Event()
        begun = time.monotonic()
        work = [Caller(services, pause, begun, self._stop).work for _ in range(callers)]
        self._services = services
        self._threads = [threading.Thread(target=each, daemon=True) for each in (*work, self._blunders)]

    def _blunders(self) -> None:
        with httpx.Client(timeout=5) as http:
            number = 0
            while not self._stop.wait(0.25):
                number += 1
                with suppress(httpx.HTTPError, ValueError, KeyError):
                    blunder(http, self._services[number // 6 % len(self._services)].base_url, number)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
