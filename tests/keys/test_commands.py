"""``auth-service keys``: results, exit codes, races between real processes, and that nothing private is printed."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from app.cli import cli
from app.keys.document import RingDocument, decode
from tests.conftest import StartRedis

KEK = base64.b64encode(b"k" * 32)
ENVIRON = {"KEYS_ALGORITHMS": "ES256", "CLIENT_CREDENTIALS": None, "CLIENTS_FILE": None, "KEYS_KEK_FILE": None}


class Ring:
    """A ring in a file, and the commands on it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keyring.json"
        self.environ: dict[str, str | None] = {**ENVIRON, "KEYS_SOURCE": f"file://{self.path}"}

    def run(self, *arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(cli, ("keys", *arguments), env=self.environ, input=stdin, prog_name="auth-service")

    def done(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    @property
    def document(self) -> RingDocument:
        return decode(self.path.read_bytes())

    def kids(self, state: str) -> list[str]:
        rows = json.loads(self.done("list", "--json"))["keys"]
        return [row["kid"] for row in rows if row["state"] == state]


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    return Ring(tmp_path)


@pytest.fixture
def begun(ring: Ring) -> Ring:
    ring.done("init")
    return ring


class TestBeginning:
    def test_it_makes_a_key_that_signs_and_a_successor(self, ring: Ring) -> None:
        ring.done("init", "--alg", "ES256", "--alg", "EdDSA")
        assert [k.algorithm for k in ring.document.keys] == ["ES256", "ES256", "EdDSA", "EdDSA"]
        assert len(ring.kids("signing")) == len(ring.kids("published")) == 2

    def test_it_does_not_touch_a_ring_that_is_there(self, begun: Ring) -> None:
        before = begun.path.read_bytes()
        assert begun.run("init").exit_code == 1
        assert begun.run("init", "--if-absent").exit_code == 0
        assert begun.path.read_bytes() == before


class TestShowing:
    def test_the_table_is_readable(self, begun: Ring) -> None:
        shown = begun.run("list")
        head, signing, published = shown.stdout.splitlines()
        assert head.split() == ["KID", "ALGORITHM", "STATE", "AGE", "WHAT", "NEXT"]
        assert signing.endswith("signs until a successor is scheduled")
        assert published.endswith("stands ready")
        assert max(len(line) for line in shown.stdout.splitlines()) < 120
        begun.done("rotate", "--force")
        assert "retires 20" in begun.done("list")
        assert "Z, in 8 min" in begun.done("list")

    def test_it_needs_no_kek(self, begun: Ring, tmp_path: Path) -> None:
        (tmp_path / "kek").write_bytes(KEK)
        begun.environ["KEYS_KEK_FILE"] = str(tmp_path / "kek")
        begun.done("rotate", "--force")
        begun.environ["KEYS_KEK_FILE"] = None
        assert {row["sealed"] for row in json.loads(begun.done("list", "--json"))["keys"]} == {True}
        assert begun.run("verify").exit_code == 2

    def test_public_keys_come_in_both_formats(self, begun: Ring) -> None:
        exported = json.loads(begun.done("export", "--public"))
        assert {key["kid"] for key in exported["keys"]} == {k.kid for k in begun.document.keys}
        pem = begun.done("export", "--public", "--format", "pem")
        assert pem.count("-----BEGIN PUBLIC KEY-----") == 2
        serialization.load_pem_public_key(pem.partition("\n")[2].encode())

    def test_no_command_ever_prints_a_private_key(self, begun: Ring) -> None:
        printed = [
            begun.run(*arguments).output
            for arguments in (
                ("list",), ("list", "--json"), ("rotate", "--dry-run", "--force"), ("rotate", "--force", "--json"),
                ("verify",), ("export", "--public"), ("export",), ("promote", begun.kids("published")[0]),
            )
        ]  # fmt: skip
        canaries = [k.private.pkcs8 or "" for k in begun.document.keys if k.private]
        begun.path.write_bytes(begun.path.read_bytes()[:-50])
        printed += [begun.run(command).output for command in ("list", "verify", "rotate")]
        assert len(canaries) == 3
        for canary in canaries:
            assert len(canary) > 150
            assert not any(canary[at : at + 24] in text for text in printed for at in range(0, len(canary) - 24, 24))


class TestRotating:
    def test_it_does_nothing_until_something_is_due(self, begun: Ring) -> None:
        before = begun.path.read_bytes()
        assert begun.done("rotate").startswith("nothing is due; the next rotation is prepared 20")
        assert not json.loads(begun.done("rotate", "--json"))["changed"]
        assert begun.path.read_bytes() == before

    def test_a_dry_run_says_it_all_and_does_nothing(self, begun: Ring) -> None:
        before = begun.path.read_bytes()
        assert begun.done("rotate", "--force", "--dry-run").startswith("would do: ES256: ")
        assert json.loads(begun.done("rotate", "--force", "--dry-run", "--json"))["due"]
        assert begun.path.read_bytes() == before

    def test_force_schedules_once(self, begun: Ring) -> None:
        assert json.loads(begun.done("rotate", "--force", "--json"))["changed"]
        assert not json.loads(begun.done("rotate", "--force", "--json"))["changed"]
        assert len(begun.document.keys) == 3

    def test_algorithms_come_and_are_phased_out_on_demand(self, begun: Ring) -> None:
        begun.environ["KEYS_ALGORITHMS"] = "EdDSA"
        begun.done("rotate")
        assert {k.algorithm for k in begun.document.keys if k.retires_at is None} == {"ES256", "EdDSA"}
        begun.done("rotate", "--prune")
        assert all(k.removed_at for k in begun.document.keys if k.algorithm == "ES256")

    def test_of_many_processes_at_once_exactly_one_makes_a_key(self, begun: Ring) -> None:
        environ = {**os.environ, **{name: value for name, value in begun.environ.items() if value is not None}}
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "app", "keys", "rotate", "--force", "--json"], env=environ,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for _ in range(8)
        ]  # fmt: skip
        answers = [process.communicate(timeout=60) for process in started]
        assert [process.returncode for process in started] == [0] * 8, answers
        assert sum(json.loads(out)["changed"] for out, _ in answers) == 1
        assert begun.document.revision == 2
        assert len(begun.document.keys) == 3


class TestPromoting:
    def test_a_successor_signs_at_once_or_when_it_is_known(self, begun: Ring) -> None:
        (successor,) = begun.kids("published")
        begun.done("promote", successor)
        assert begun.kids("signing") != [successor]
        warned = begun.run("promote", successor, "--now")
        assert warned.exit_code == 0
        assert "may not know it for" in warned.stderr
        assert begun.kids("signing") == [successor]
        assert len(begun.kids("published")) == 1


class TestRevoking:
    def test_the_key_is_gone_the_successor_signs_and_the_rest_is_told(self, begun: Ring) -> None:
        (leaked,), (successor,) = begun.kids("signing"), begun.kids("published")
        done = begun.run("revoke", leaked, "--reason", "laptop stolen", "--yes")
        assert done.exit_code == 0
        assert begun.kids("signing") == [successor]
        assert begun.kids("revoked") == [leaked]
        assert leaked not in begun.done("export", "--public")
        assert "laptop stolen" in begun.done("list")
        assert "8 min more at worst (5 min of cache" in done.stdout
        assert successor in done.stderr, "it was younger than the lead, which is warned about"
        audited = json.loads(next(line for line in done.stderr.splitlines() if line.startswith("{")))
        assert (audited["event"], audited["kid"], audited["reason"]) == ("key.revoked", leaked, "laptop stolen")

    def test_a_leaked_ring_is_replaced(self, begun: Ring) -> None:
        before = {k.kid for k in begun.document.keys}
        begun.done("revoke", "--all", "--reason", "backup lost", "--yes")
        assert set(begun.kids("revoked")) == before
        assert len(begun.kids("signing")) == len(begun.kids("published")) == 1
        assert begun.run("verify").exit_code == 0

    def test_it_waits_for_the_replicas_that_are_named(self, begun: Ring, replica: "FakeReplica") -> None:
        (leaked,) = begun.kids("signing")
        replica.answers = [b'{"keys":[{"kid":"%s"}]}' % leaked.encode(), b'{"keys":[{"kid":"other"}]}']
        done = begun.done("revoke", leaked, "--reason", "x", "--yes", "--replica", replica.url)
        assert f"{replica.address} has the new ring" in done
        assert replica.asked == 2

    @pytest.mark.parametrize("kid", ["-h6dTq", "-AbC", "--yQ"])
    def test_a_kid_that_begins_with_a_hyphen_is_no_option(self, begun: Ring, kid: str) -> None:
        for arguments in (("revoke", kid, "--reason", "x", "--yes"), ("promote", kid, "--now")):
            done = begun.run(*arguments)
            assert f"the ring has no key '{kid}'" in done.stderr

    def test_a_replica_that_keeps_the_key_is_named(self, begun: Ring, replica: "FakeReplica") -> None:
        (leaked,) = begun.kids("signing")
        replica.answers = [b'{"keys":[{"kid":"%s"}]}' % leaked.encode()]
        done = begun.run("revoke", leaked, "--reason", "x", "--yes", "--replica", replica.url, "--wait", "0.1")
        assert done.exit_code == 1
        assert f"still publish the key: {replica.address}" in done.stderr
        assert begun.kids("revoked") == [leaked]

    @pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b'{"keys":[{}]}', b"not json"])
    def test_a_replica_that_answers_nonsense_does_not_count_as_done(
        self, begun: Ring, replica: "FakeReplica", answer: bytes
    ) -> None:
        replica.answers = [answer]
        (leaked,) = begun.kids("signing")
        done = begun.run("revoke", leaked, "--reason", "x", "--yes", "--replica", replica.address, "--wait", "0")
        assert done.exit_code == 1


class TestImporting:
    @pytest.mark.parametrize("form", ["pem", "traditional", "jwk", "jwks"])
    def test_a_private_key_from_elsewhere_becomes_a_successor_and_can_sign(
        self, begun: Ring, tmp_path: Path, form: str
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        (tmp_path / "key").write_bytes(written(key, form))
        imported = begun.done("import", str(tmp_path / "key"))
        assert "taken in as a successor" in imported
        kid = begun.document.keys[-1].kid
        begun.done("promote", kid, "--now")
        assert begun.kids("signing") == [kid]
        assert begun.run("verify").exit_code == 0

    def test_without_a_ring_the_key_begins_one(self, ring: Ring, tmp_path: Path) -> None:
        (tmp_path / "key").write_bytes(written(rsa.generate_private_key(65537, 2048), "pem"))
        ring.environ["KEYS_ALGORITHMS"] = "RS256"
        ring.done("import", "--alg", "RS256", str(tmp_path / "key"))
        assert len(ring.kids("signing")) == len(ring.kids("published")) == 1

    def test_a_key_comes_through_stdin(self, begun: Ring) -> None:
        result = begun.run("import", "-", stdin=written(ed25519.Ed25519PrivateKey.generate(), "pem"))
        assert result.exit_code == 0
        assert begun.document.keys[-2].algorithm == "EdDSA"

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"", "no private key"),
            (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key"),
            (b"{", "not complete JSON"),
            (b'{"kty": "EC"}', "no private part"),
            (b'{"keys": []}', "not a list of JWKs"),
            (b'{"kty": "oct", "k": "c2VjcmV0", "d": "x"}', "fits none of"),
            (b'{"kty": "RSA", "d": "x"}', "say which with --alg"),
            (b'{"kty": "RSA", "d": "c2VjcmV0", "alg": "HS256"}', "allowed are"),
            (b'{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "c2VjcmV0"}', "cannot be read"),
        ],
    )
    def test_what_is_no_private_key_is_refused_without_being_quoted(
        self, begun: Ring, content: bytes, says: str
    ) -> None:
        before = begun.path.read_bytes()
        refused = begun.run("import", "-", stdin=content)
        assert refused.exit_code == 1
        assert says in refused.stderr
        assert "c2VjcmV0" not in refused.output
        assert begun.path.read_bytes() == before

    def test_keys_that_do_not_fit_are_refused(self, begun: Ring) -> None:
        rsa_key = written(rsa.generate_private_key(65537, 2048), "pem")
        short = written(rsa.generate_private_key(65537, 1024), "pem")
        foreign = written(ec.generate_private_key(ec.SECP256K1()), "pem")
        encrypted = rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
        for content, arguments, says in (
            (rsa_key, (), "say which with --alg"),
            (rsa_key, ("--alg", "ES256"), "not one for ES256"),
            (short, ("--alg", "RS256"), "fits none of"),
            (foreign, (), "fits none of"),
            (encrypted, (), "decrypt it first"),
        ):
            refused = begun.run("import", "-", *arguments, stdin=content)
            assert refused.exit_code == 1
            assert says in refused.stderr

    def test_the_same_key_twice_is_refused(self, begun: Ring) -> None:
        key = written(ec.generate_private_key(ec.SECP256R1()), "pem")
        assert begun.run("import", "-", stdin=key).exit_code == 0
        assert "has the key" in begun.run("import", "-", stdin=key).stderr


class TestBackup:
    def test_a_copy_of_the_document_is_a_backup(self, begun: Ring, tmp_path: Path) -> None:
        backup, before = begun.path.read_bytes(), begun.document
        begun.path.unlink()
        assert begun.run("import", "-", stdin=backup).exit_code == 0
        assert begun.document == before
        assert begun.run("import", "-", stdin=backup).exit_code == 1, "a ring that is there is not lost by accident"

    def test_it_can_be_restored_over_a_damaged_or_an_unwanted_ring(self, begun: Ring) -> None:
        backup, before = begun.path.read_bytes(), begun.document
        begun.path.write_bytes(backup[:-30])
        assert begun.run("rotate").exit_code == 1
        assert begun.run("import", "-", "--replace", stdin=backup).exit_code == 0
        assert begun.document.keys == before.keys
        begun.done("rotate", "--force")
        assert begun.run("import", "-", "--replace", stdin=backup).exit_code == 0
        assert begun.document.keys == before.keys
        assert begun.document.revision == 4, "replicas never go back to an older revision"

    def test_a_damaged_backup_is_refused(self, begun: Ring) -> None:
        before = begun.path.read_bytes()
        assert begun.run("import", "-", "--replace", stdin=before[:-30]).exit_code == 1
        assert begun.path.read_bytes() == before

    def test_a_sealed_backup_needs_its_kek(self, begun: Ring, tmp_path: Path) -> None:
        (tmp_path / "kek").write_bytes(KEK)
        begun.environ["KEYS_KEK_FILE"] = str(tmp_path / "kek")
        begun.done("rotate", "--force")
        backup = begun.path.read_bytes()
        begun.path.unlink()
        begun.environ["KEYS_KEK_FILE"] = None
        assert begun.run("import", "-", stdin=backup).exit_code == 2
        begun.environ["KEYS_KEK_FILE"] = str(tmp_path / "kek")
        assert begun.run("import", "-", stdin=backup).exit_code == 0


class TestExitCodes:
    @pytest.mark.parametrize(
        ("arguments", "code", "says"),
        [
            (("list",), 1, "keys init"),
            (("rotate",), 1, "keys init"),
            (("verify",), 1, "keys init"),
            (("list", "--source", "memory:"), 2, "memory:"),
            (("list", "--source", "file://relative"), 2, "allowed are"),
            (("list", "--source", "https://example.com"), 2, "allowed are"),
            (("list", "--source", "secret://namespace"), 2, "allowed are"),
            (("list", "--source", "redis:"), 2, "REDIS_URL"),
            (("rotate", "--nonsense"), 2, "No such option"),
            (("init", "--alg", "HS256"), 2, "HS256"),
            (("init", "--source", "file:///nowhere/at/all/keyring.json"), 1, "No such file"),
        ],
    )
    def test_without_a_ring(self, ring: Ring, arguments: tuple[str, ...], code: int, says: str) -> None:
        result = ring.run(*arguments)
        assert (result.exit_code, says in result.stderr) == (code, True), result.stderr
        assert result.stdout == ""

    @pytest.mark.parametrize(
        ("arguments", "code", "says"),
        [
            (("promote", "nobody"), 1, "no key 'nobody'"),
            (("revoke", "nobody", "--reason", "x", "--yes"), 1, "no key 'nobody'"),
            (("revoke", "--reason", "x", "--yes"), 2, "either one KID or --all"),
            (("revoke", "kid", "--all", "--reason", "x", "--yes"), 2, "either one KID or --all"),
            (("revoke", "--all", "--yes"), 2, "--reason"),
            (("revoke", "--all", "--reason", "x"), 2, "--yes"),
            (("revoke", "--all", "--reason", "x", "--yes", "--replica", "ftp://x"), 2, "http://host:port"),
            (("export",), 2, "--public"),
            (("import", "/does/not/exist"), 2, "No such file"),
        ],
    )
    def test_with_a_ring_that_stays_as_it_is(
        self, begun: Ring, arguments: tuple[str, ...], code: int, says: str
    ) -> None:
        before = begun.path.read_bytes()
        result = begun.run(*arguments)
        assert (result.exit_code, says in result.stderr) == (code, True), result.stderr
        assert begun.path.read_bytes() == before

    def test_a_wrong_kek_file_is_a_configuration_error(self, begun: Ring, tmp_path: Path) -> None:
        begun.environ["KEYS_KEK_FILE"] = str(tmp_path / "kek")
        (tmp_path / "kek").write_bytes(b"c2VjcmV0")
        result = begun.run("rotate")
        assert result.exit_code == 2
        assert "c2VjcmV0" not in result.output

    def test_an_unusable_document_is_a_failure_and_stays(self, ring: Ring) -> None:
        for body, says in (
            (b"", "empty"),
            (b"{", "truncated"),
            (b'{"format":"auth-service/keyring","version":"2.0"}', "reads 1.x"),
        ):
            ring.path.write_bytes(body)
            for command in ("list", "rotate", "verify", "init"):
                result = ring.run(command)
                assert result.exit_code == 1
                assert says in result.stderr
            assert ring.path.read_bytes() == body

    def test_an_unreachable_source_may_be_tried_again(
        self, ring: Ring, tmp_path: Path, redis_process: StartRedis, unused_port: Callable[[], int]
    ) -> None:
        (tmp_path / "kek").write_bytes(KEK)
        ring.environ |= {
            "KEYS_SOURCE": "redis:", "KEYS_KEK_FILE": str(tmp_path / "kek"),
            "REDIS_URL": f"redis://127.0.0.1:{unused_port()}/0",
        }  # fmt: skip
        for command in (("list",), ("rotate",), ("init",), ("revoke", "kid", "--reason", "x", "--yes")):
            result = ring.run(*command)
            assert result.exit_code == 3, result.output
        ring.environ["REDIS_URL"] = redis_process().url
        ring.done("init")
        assert ring.run("verify").exit_code == 0

    def test_verify_finds_what_is_wrong(self, begun: Ring) -> None:
        begun.environ["KEYS_ALGORITHMS"] = "ES256,EdDSA"
        result = begun.run("verify")
        assert result.exit_code == 1
        assert "problem: EdDSA: no key signs" in result.stdout


class FakeReplica:
    """Answers ``/jwks.json`` with each of ``answers`` in turn, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.asked = 0
        replica = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = replica.answers[min(replica.asked, len(replica.answers) - 1)]
                replica.asked += 1
                self.send_response(200 if self.path == "/jwks.json" else 404)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"http://{self.address}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()


@pytest.fixture
def replica(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeReplica]:
    monkeypatch.setattr("app.cli.key_replicas.POLL_SECONDS", 0.01)
    made = FakeReplica()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join()


def written(key: Any, form: str) -> bytes:
    if form in ("pem", "traditional"):
        shape = serialization.PrivateFormat.PKCS8 if form == "pem" else serialization.PrivateFormat.TraditionalOpenSSL
        return bytes(key.private_bytes(serialization.Encoding.PEM, shape, serialization.NoEncryption()))
    algorithm: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    jwk = json.loads(algorithm.to_jwk(key))
    return json.dumps(jwk if form == "jwk" else {"keys": [jwk]}).encode()
