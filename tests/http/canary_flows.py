"""Every flow of the service, with marked secrets and tokens: used well, used badly, broken and without its Redis."""

import contextlib
import json
import socket
from pathlib import Path

import httpx

from tests.http.bad_input import BAD_INPUT
from tests.http.canary_stage import FROM_ENVIRONMENT, FROM_FILE, IN_SHORT, SABOTAGE, Stage
from tests.programs.raw_http import exchange
from tests.programs.service_calls import ASSERTION_TYPE, client_assertion
from tests.programs.service_clients import (
    ADMIN,
    AUDITOR,
    BASIC,
    CANARY,
    CHOSEN,
    JWT,
    LIMITED,
    OTHER,
    POST,
    PUBLIC,
    REFRESHER,
    REFRESHER_JWT,
    RegisteredClient,
    with_secret,
    write_clients,
)
from tests.programs.service_process import ServiceProcess, wait_until

CREDENTIALS = {"grant_type": "client_credentials"}


class Flows:
    """What clients and operators do to one process."""

    def __init__(self, stage: Stage, process: ServiceProcess) -> None:
        self.stage = stage
        self.process = process
        self.http = stage.http(process)
        self.operator = httpx.Client(base_url=process.admin_url, event_hooks={"response": [stage.keep]}, timeout=20)
        self.tokens: list[str] = []

    def close(self) -> None:
        self.http.close()
        self.operator.close()

    # ------------------------------------------------------------------ clients

    def token(self, client: RegisteredClient, **form: str) -> dict[str, str]:
        """Tokens, by the client's own method."""
        if client.entry.get("auth_method") == "client_secret_post":
            form |= {"client_id": client.id, "client_secret": client.secret}
            answer = self.http.post("/oauth/token", data={**CREDENTIALS, **form})
        else:
            answer = self.http.post("/oauth/token", auth=client.basic, data={**CREDENTIALS, **form})
        assert answer.status_code == 200, answer.text
        given = {name: str(value) for name, value in answer.json().items()}
        self.tokens += [given[name] for name in ("access_token", "refresh_token") if name in given]
        return given

    def post(self, path: str, client: RegisteredClient, **form: str) -> httpx.Response:
        return self.http.post(path, auth=client.basic, data=form)

    def use_well(self) -> None:
        """Issue, introspect, refresh and revoke, by every method."""
        for client in (
            BASIC,
            POST,
            CHOSEN,
            JWT,
            OTHER,
            FROM_FILE,
            FROM_ENVIRONMENT,
            IN_SHORT,
            REFRESHER,
            REFRESHER_JWT,
        ):
            given = self.token(client)
            token = given["access_token"]
            for caller in (client, AUDITOR, OTHER):
                self.post("/oauth/introspect", caller, token=token, token_type_hint=token)
            self.http.post("/oauth/introspect", auth=AUDITOR.basic, json={"token": token})
            if "refresh_token" in given:
                for _ in range(2):  # the second is a reuse
                    self.post("/oauth/token", client, grant_type="refresh_token", refresh_token=given["refresh_token"])
                second = self.token(client)["refresh_token"]
                self.post("/oauth/introspect", AUDITOR, token=second)
                self.post("/oauth/revoke", client, token=second)
            self.post("/oauth/revoke", OTHER, token=token)
            self.post("/oauth/revoke", client, token=token)
            self.post("/oauth/introspect", AUDITOR, token=token)
        self.use_assertions()

    def use_assertions(self) -> None:
        """Right, replayed, for others, and with a wrong signature."""
        issuer = self.http.get("/.well-known/oauth-authorization-server").json()["issuer"]
        for name, assertion in (
            ("an assertion", good := client_assertion(issuer)),
            ("the same again", good),
            ("an assertion for others", client_assertion(f"https://{CANARY}.example")),
            ("an assertion that was changed", client_assertion(issuer)[:-8] + "AAAAAAAA"),
        ):
            self.stage.secret(name, assertion)
            form = {**CREDENTIALS, "client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}
            self.http.post("/oauth/token", data=form)
            self.post("/oauth/introspect", AUDITOR, token=assertion)

    def use_badly(self) -> None:
        """Secrets that are wrong, and secrets and tokens where they do not belong."""
        wrong = f"{CANARY}-wrong-secret-{'1' * 40}"
        self.stage.secret("a wrong secret", wrong)
        for path in ("/oauth/token", "/oauth/introspect", "/oauth/revoke"):
            for client_id in (BASIC.id, CHOSEN.id, "nobody", wrong):
                self.http.post(path, auth=(client_id, wrong), data={**CREDENTIALS, "token": "x"})
            self.http.post(path, auth=BASIC.basic, data={"client_id": BASIC.id, "client_secret": wrong, "token": "x"})
        token, secret = self.token(JWT)["access_token"], BASIC.secret
        opaque = self.token(BASIC)["access_token"]
        for text in (token, opaque, secret):
            self.http.get("/oauth/token", params={"access_token": text})
            self.http.post(f"/oauth/introspect?token={text}", auth=BASIC.basic)
            self.http.get(f"/{text}", headers={"authorization": f"Bearer {text}", "cookie": f"session={text}"})
            self.http.post("/oauth/token", headers={"authorization": f"Bearer {text}"}, data=CREDENTIALS)
            self.http.post("/oauth/token", headers={"authorization": f"Basic {text}"}, data=CREDENTIALS)
            self.http.post("/oauth/introspect", auth=BASIC.basic, content=text.encode())
            self.http.request(f"X{text[:20].replace('.', '')}", "/oauth/token")
            for name in ("grant_type", "scope", "resource", "token", "refresh_token", "client_id", text):
                self.post("/oauth/token", BASIC, **{**CREDENTIALS, name: text})
                self.post("/oauth/token", REFRESHER, **{"grant_type": "refresh_token", name: text})
            self.http.post("/oauth/introspect", auth=BASIC.basic, json={"token": [text], text: text})
            self.http.get("/jwks.json", headers={"traceparent": text, "tracestate": f"a={text}", "origin": text})
            self.operator.get("/admin/stats", headers={"authorization": f"Bearer {text}"})
            self.operator.get("/admin/", auth=("admin", text))
            self.operator.get(f"/admin/{text}", params={"q": text})
        for _ in range(8):
            self.post("/oauth/token", LIMITED, **CREDENTIALS)
        self.http.post("/oauth/token", data={**CREDENTIALS, "client_id": PUBLIC.id})

    def send_rubbish(self) -> None:
        """Requests that no library sends; over TLS, what is no TLS."""
        if self.process is self.stage.tls_process:
            raw = f"POST /oauth/token HTTP/1.1\r\nauthorization: Bearer {self.tokens[0]}\r\n\r\n".encode()
            for rubbish in (raw, b"\x16\x03\x01" + raw):
                with contextlib.suppress(OSError), socket.create_connection(self.process.address, 5) as connection:
                    connection.sendall(rubbish)
                    connection.recv(100)
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(self.process.base_url.replace("http:", "https:"), headers={"x": self.tokens[0]})
            return
        for row in BAD_INPUT:
            answer = exchange(self.process.address, row.request)
            self.stage.answers += repr(answer).encode()
        for line in (b"GET /%s HTTP/9.9\r\n\r\n", b"%s\r\n\r\n", b"GET / HTTP/1.1\r\n%s\r\n\r\n"):
            answer = exchange(self.process.address, line % self.tokens[0].encode())
            self.stage.answers += repr(answer).encode()

    def fail_unforeseen(self) -> None:
        """A fault of the program itself, while it holds a request and a client in its hands."""
        answer = self.post("/oauth/token", IN_SHORT, **CREDENTIALS, scope=SABOTAGE)
        assert answer.status_code == 500, answer.text
        given = self.token(REFRESHER)
        form = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"], "scope": SABOTAGE}
        assert self.post("/oauth/token", REFRESHER, **form).status_code == 500

    def meet_an_outage(self) -> None:
        """Everything once more, without Redis."""
        answers = [self.post("/oauth/introspect", BASIC, token=token) for token in self.tokens]
        answers += [self.post("/oauth/revoke", BASIC, token=token) for token in self.tokens]
        form = {"grant_type": "refresh_token"}
        answers += [self.post("/oauth/token", REFRESHER, **form, refresh_token=token) for token in self.tokens[-3:]]
        answers.append(self.post("/oauth/token", BASIC, **CREDENTIALS))
        assert {answer.status_code for answer in answers} >= {503}

    # ------------------------------------------------------------------ operators

    def operate(self) -> None:
        """Look at everything, let in by a token of each kind; revoke by list, client and subject."""
        scoped = self.token(ADMIN, scope="auth-service:admin read")["access_token"]
        own = self.stage.admin_token
        for headers in ({"authorization": f"Bearer {scoped}"}, {"authorization": f"Bearer {own}"}):
            for path in ("/admin/stats", "/admin/", "/admin/revocations"):
                assert self.operator.get(path, headers=headers).status_code == 200, path
        assert self.operator.get("/admin/", auth=("admin", own)).status_code == 200
        listed = [self.token(client)["access_token"] for client in (BASIC, JWT)]
        listed.append(self.token(REFRESHER)["refresh_token"])
        headers = {"authorization": f"Bearer {own}"}
        for path, body in (
            ("tokens", {"tokens": [*listed, f"{CANARY}-no-token-{'2' * 40}"], "reason": "leaked"}),
            ("tokens", {"tokens": listed, "surprise": listed}),
            ("tokens", listed),
            ("client", {"client_id": "refresher"}),
            ("client", {"client_id": listed}),
            ("subject", {"subject": "jwt"}),
            ("before", {"before": listed[0]}),
        ):
            self.operator.post(f"/admin/revocations/{path}", json=body, headers=headers)
        self.operator.post("/admin/revocations/tokens", content=json.dumps(listed)[:-3], headers=headers)

    def look(self) -> None:
        """All that a process shows: pages, documents, metrics in both forms."""
        for path in ("/health", "/health/live", "/health/ready", "/jwks.json", "/openapi.json", "/oauth/authorize"):
            self.http.get(path)
        for accept in ("text/plain", "application/openmetrics-text; version=1.0.0"):
            self.stage.keep(httpx.get(f"{self.process.metrics_url}/metrics", headers={"accept": accept}))
        for path in ("/admin/", "/admin/stats"):
            self.operator.get(path, headers={"authorization": f"Bearer {self.stage.admin_token}"})


def reload_badly(stage: Stage, process: ServiceProcess) -> None:
    """Clients files with secrets where they do not belong; the last one is good again."""
    text = f"{CANARY}-in-the-clear-{'6' * 40}"
    stage.secret("a secret in the clear", text)
    good = stage.clients_file.read_text()
    broken = [
        json.dumps({"version": 1, "clients": [{**OTHER.entry, "secrets": [text]}]}),
        json.dumps({"version": 1, "clients": [{**OTHER.entry, "secrets": [{"hash": text}]}]}),
        json.dumps({"version": 1, "clients": [{**OTHER.entry, "secrets": [{text: text}]}]}),
        json.dumps({"version": 1, "clients": [{**OTHER.entry, "secret": text, text: 1}]}),
        json.dumps({"version": text, "clients": text}),
        f"version: 1\nclients:\n  - id: x\n    secrets: [{{hash: '{text}]\n",
        f"version: 1\nclients:\n  - id: x\n    secrets: !{text} {text}: {text}\n",
    ]
    for content in broken:
        stage.clients_file.write_text(content)
        stage.run("clients", "check", str(stage.clients_file))
    for content in (broken[0], broken[-1]):  # what the process says of it is what the command says
        before = process.logs.count("clients not reloaded")
        stage.clients_file.write_text(content)
        wait_until(lambda before=before: process.logs.count("clients not reloaded") > before, content)  # type: ignore[misc]
    stage.clients_file.write_text(good)
    before = process.logs.count("clients reloaded")
    write_clients(stage.clients_file, (*stage.clients, with_secret("one-more")))
    wait_until(lambda: process.logs.count("clients reloaded") > before, "the good file")


def command(stage: Stage) -> None:
    """The commands that operators have."""
    stage.run("config", "check")
    stage.run("config", "check", "--json")
    stage.run("clients", "check", str(stage.clients_file))
    stage.run("clients", "list", "--json")
    stage.run("clients", "hash", stdin=f"{BASIC.secret}\n")
    stage.run("keys", "list")
    stage.run("keys", "rotate", "--force", "--json")
    stage.note_private_keys()
    stage.run("keys", "export", "--public", "--format", "pem")
    stage.run("keys", "verify")
    ring = json.loads((stage.folder / "keyring.json").read_text())
    stage.run("keys", "revoke", ring["keys"][0]["kid"], "--reason", "leaked", "--yes")
    broken = stage.folder / "broken-ring.json"
    broken.write_text(json.dumps({**ring, "keys": [{**key, "algorithm": "ES384"} for key in ring["keys"]]}))
    stage.run("keys", "import", str(broken))
    stage.run("doctor")
    stage.run("doctor", "--json")
    stage.run("doctor", "--bundle", str(stage.folder / "support.tar.gz"))


def break_files(stage: Stage) -> None:
    """A ring and a certificate that cannot be read while they are in use."""
    ring: Path = stage.folder / "keyring.json"
    good = ring.read_bytes()
    ring.write_bytes(good.replace(b'"pkcs8":"', b'"pkcs8":"!'))
    stage.run("keys", "verify")
    stage.run("doctor")
    ring.write_bytes(good)
    good = stage.tls_key_file.read_bytes()
    stage.tls_key_file.write_bytes(good[: len(good) // 2])
    wait_until(lambda: "certificate" in stage.tls_process.logs.lower(), "the broken pair to be seen")
