"""Where the canaries are let loose: processes of the service with everything on, and all that they leave behind.

There is a process for each way of carrying requests, and one more over TLS; they share a Redis with a password, a key
ring, a trace collector and a Redis operator who watches every command (MONITOR). ``places`` are all the texts that
anybody but the rightful owner of a secret may see.
"""

import base64
import contextlib
import json
import os
import secrets
import socket
import ssl
import tarfile
import threading
from pathlib import Path
from typing import Self

import httpx
import redis
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from app.cli import cli
from app.config.fields import all_fields, secret_file_names
from tests.programs.canaries import Canary
from tests.programs.certificates import issue
from tests.programs.otlp_receiver import OtlpReceiver
from tests.programs.redis_process import RedisProcess
from tests.programs.service_clients import CANARY, EVERY_CLIENT, RegisteredClient, with_secret, write_clients
from tests.programs.service_fixtures import FAST_PATHS
from tests.programs.service_process import ServiceProcess

FROM_FILE = with_secret("from-file")
FROM_ENVIRONMENT = with_secret("from-environment")
IN_SHORT = with_secret("in-short", secret=f"{CANARY}-secret-in-short-{'5' * 40}")
SABOTAGE = "sabotage"
"""A scope whose request fails in a way that nobody foresaw, and says more of it than anybody should."""
_SABOTEUR = f"""
from app.grants.client_credentials import ClientCredentials
from app.grants.refresh_token import RefreshToken

def sabotaged(decide):
    def decided(self, request, client, *others):
        if request.scope == {SABOTAGE!r}:
            raise RuntimeError(f"{{request!r}} with {{request.refresh_token}} of {{client!r}}: {{others!r}}")
        return decide(self, request, client, *others)
    return decided

for grant in (ClientCredentials, RefreshToken):
    grant.decide = sabotaged(grant.decide)
"""


def private_numbers(der: bytes) -> list[bytes]:
    """What of a key nobody else may have: its public half is in the same document."""
    key = load_der_private_key(der, None)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return [key.private_numbers().private_value.to_bytes(key.key_size // 8, "big")]
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = key.private_numbers()
    return [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (numbers.d, numbers.p, numbers.q)]


class Stage:
    """A context manager. ``canaries`` grows with every token that the flows are given."""

    def __init__(self, folder: Path, redis_program: str) -> None:
        self.folder = folder
        self.canaries: list[Canary] = []
        self.answers = b""
        """Every answer but for the tokens in it."""
        self.printed = b""
        """What the commands wrote."""
        self._redis_program = redis_program
        self._watched: list[bytes] = []
        self._running = contextlib.ExitStack()

    def secret(self, name: str, value: str | bytes) -> None:
        """Declare something secret."""
        self.canaries.append(Canary(name, value.encode() if isinstance(value, str) else value))

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as running:
            self._start(running)
            self._running = running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _start(self, running: contextlib.ExitStack) -> None:
        self.redis_password, self.admin_token = f"{CANARY}-redis-{'9' * 40}", f"{CANARY}-admin-{'7' * 40}"
        collector_key = f"{CANARY}-collector-{'3' * 40}"
        for name, value in (
            ("the password of Redis", self.redis_password),
            ("the operators' token", self.admin_token),
            ("the collector's key", collector_key),
            *((f"the secret of {client.id}", client.secret) for client in self.clients if client.secret),
        ):
            self.secret(name, value)
        # Not compressed: what is searched must be readable.
        arguments = ("--requirepass", self.redis_password, "--rdbcompression", "no", "--slowlog-log-slower-than", "0")
        (self.folder / "redis").mkdir()
        self.redis = RedisProcess(self._redis_program, self.folder / "redis", (*arguments, "--appendonly", "yes"))
        running.callback(self.redis.kill)
        self._watch(running)
        self.collector = running.enter_context(OtlpReceiver())
        authority = issue(self.folder, "authority")
        pair = issue(self.folder, "listener", authority)
        self.trusting = ssl.create_default_context(cafile=str(authority.certificate_file))
        self.clients_file = write_clients(self.folder / "clients.yaml", self.clients)
        (self.folder / "from-file").write_text(FROM_FILE.secret)
        (self.folder / "admin-token").write_text(self.admin_token)
        (self.folder / "saboteur").mkdir()
        (self.folder / "saboteur" / "sitecustomize.py").write_text(_SABOTEUR)
        self.settings = {
            "PYTHONPATH": os.pathsep.join((str(self.folder / "saboteur"), str(Path(__file__).parents[2]))),
            "CLIENTS_FILE": str(self.clients_file),
            "CLIENT_CREDENTIALS": f"{IN_SHORT.id}:{IN_SHORT.secret}",
            "ALLOWED_SCOPES": f"read {SABOTAGE}",
            "SECRET_OF_A_CLIENT": FROM_ENVIRONMENT.secret,
            "ADMIN_TOKEN_FILE": str(self.folder / "admin-token"),
            "REDIS_URL": self.redis.url.replace("://", f"://:{self.redis_password}@"),
            "REDIS_KEY_PREFIX": f"test-{secrets.token_hex(8)}",
            "STORE_FALLBACK": "fail",
            "CACHE_MAX_ENTRIES": "10000",
            "RATE_LIMIT_BACKEND": "redis",
            "KEYS_SOURCE": f"file://{self.folder / 'keyring.json'}",
            "AUDIT_LOG": str(self.folder / "audit.jsonl"),
            "LOG_LEVEL": "debug",
            "LOG_REQUESTS": "info",
            "PROBE_INTERVAL_SECONDS": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{collector_key}",
            "OTEL_TRACES_SAMPLER": "always_on",
            "OTEL_BSP_SCHEDULE_DELAY": "20",
        }
        tls = {"TLS_CERT_FILE": str(pair.certificate_file), "TLS_KEY_FILE": str(pair.key_file)}
        self.tls_key_file = pair.key_file
        self.secret("the listener's private key", pair.key.private_numbers().private_value.to_bytes(32, "big"))
        self.processes = [self._serve(running, mode, {**self.settings, "FAST_PATH": mode}) for mode in FAST_PATHS]
        self.tls_process = self._serve(running, "tls", {**self.settings, **tls})
        self.processes.append(self.tls_process)
        self.note_private_keys()

    @property
    def clients(self) -> tuple[RegisteredClient, ...]:
        """All clients, those whose secrets are elsewhere included."""
        FROM_FILE.entry["secrets"] = [{"file": str(self.folder / "from-file")}]
        FROM_ENVIRONMENT.entry["secrets"] = [{"env": "SECRET_OF_A_CLIENT"}]
        return (*EVERY_CLIENT, FROM_FILE, FROM_ENVIRONMENT)

    def note_private_keys(self) -> None:
        """Declare the private keys of the ring as it is now."""
        for key in json.loads((self.folder / "keyring.json").read_text())["keys"]:
            if key.get("private"):
                der = base64.urlsafe_b64decode(key["private"]["pkcs8"] + "==")
                for part in private_numbers(der):
                    self.secret(f"the key {key['kid'][:8]}", part)

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """A command of the service's own, with its settings; what it wrote."""
        nothing: dict[str, str | None] = {field.name: None for field in all_fields()}
        nothing |= dict.fromkeys(secret_file_names().values())
        addresses = {"BIND_ADDR": "base_url", "METRICS_ADDR": "metrics_url", "ADMIN_ADDR": "admin_url"}
        listening = {name: getattr(self.processes[0], url).removeprefix("http://") for name, url in addresses.items()}
        done = CliRunner().invoke(cli, arguments, env={**nothing, **self.settings, **listening}, input=stdin)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        self.printed += f"$ {arguments}: {done.exit_code}\n{done.output}\n".encode()
        return done.output

    def http(self, process: ServiceProcess) -> httpx.Client:
        """A client all of whose answers are kept, but for what the token endpoint is there to give."""
        url = process.base_url.replace("http:", "https:") if process is self.tls_process else process.base_url
        return httpx.Client(base_url=url, verify=self.trusting, event_hooks={"response": [self.keep]})

    def keep(self, response: httpx.Response) -> None:
        """Note the tokens of an answer and keep the rest of it."""
        body = response.read()
        with contextlib.suppress(ValueError, AttributeError):
            document = json.loads(body)
            for name in ("access_token", "refresh_token"):
                if token := document.pop(name, None):
                    self.secret(f"a {name}", token)
            body = json.dumps(document).encode()
        head = "".join(f"{name}: {value}\n" for name, value in response.headers.items())
        self.answers += f"{response.status_code}\n{head}".encode() + body + b"\n"

    def dump_of_redis(self) -> dict[str, bytes]:
        """All that Redis has: its files, every key as DUMP gives it, its slow log and its clients."""
        with redis.Redis(port=self.redis.port, password=self.redis_password) as operator:
            operator.save()
            names = list(operator.scan_iter(count=1000))
            dumped = b"\n".join(name + b" " + (operator.dump(name) or b"") for name in names)
            told = repr([operator.slowlog_get(10_000), operator.client_list(), operator.info("all")]).encode()
        files = [path for path in (self.folder / "redis").rglob("*") if path.is_file()]
        return {
            "Redis, each key by DUMP": dumped,
            "Redis, slow log and clients": told,
            "Redis, commands by MONITOR": b"".join(self._watched),
            **{f"Redis, {path.name}": path.read_bytes() for path in files},
        }

    def start_without_redis(self) -> ServiceProcess:
        """One more process, which serves from its memory until Redis is back."""
        self.processes.append(self._serve(self._running, "fallback", {**self.settings, "STORE_FALLBACK": "memory"}))
        return self.processes[-1]

    def places(self) -> dict[str, bytes]:
        """What everything else left, now."""
        found = {"the answers": self.answers, "the commands": self.printed, "the spans": self.collector.raw}
        for process in self.processes:
            for path in sorted(process.folder.iterdir()):
                found[f"{process.folder.name}, {path.name}"] = path.read_bytes()
            found[f"{process.folder.name}, its command line"] = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        found["the audit"] = (self.folder / "audit.jsonl").read_bytes()
        for path in self.folder.glob("*.tar.gz"):
            with tarfile.open(path) as archive:
                for member in archive:
                    file = archive.extractfile(member)
                    found[f"{path.name}, {member.name.partition('/')[2]}"] = b"" if file is None else file.read()
        return found

    def _serve(self, running: contextlib.ExitStack, name: str, settings: dict[str, str]) -> ServiceProcess:
        (self.folder / name).mkdir()
        process = ServiceProcess(self.folder / name, settings)
        running.callback(process.kill)
        return process

    def _watch(self, running: contextlib.ExitStack) -> None:
        connection = running.enter_context(socket.create_connection(("127.0.0.1", self.redis.port), 10))
        connection.sendall(b"AUTH %s\r\nMONITOR\r\n" % self.redis_password.encode())
        connection.settimeout(None)

        def read() -> None:
            with contextlib.suppress(OSError):
                while some := connection.recv(1 << 16):
                    self._watched.append(some)

        threading.Thread(target=read, daemon=True).start()
