"""Who is let in to Redis: certificates and users that change under load, and two installations side by side."""

import asyncio
from pathlib import Path

import pytest
import redis

from app.storage.redis.acl import acl_line
from tests.conftest import StartRedis
from tests.programs.certificates import issue
from tests.programs.ports import free_port
from tests.proving.conftest import BOUND_SECONDS, Proof, StartReplica, StartTwo
from tests.proving.model import Model

pytestmark = [pytest.mark.anyio, pytest.mark.prove, pytest.mark.timeout(300)]


def allow(folder: Path, *users: tuple[str, str, str]) -> Path:
    """An ACL file with these users (name, password, key prefix) as ``config check`` prints their lines."""
    lines = [acl_line(name, prefix).replace("<PASSWORD>", password) for name, password, prefix in users]
    lines.append("user default on >operator ~* &* +@all")
    (folder / "users.acl").write_text("\n".join(lines) + "\n")
    return folder / "users.acl"


async def test_everything_changes(
    proof: Proof, redis_process: StartRedis, start_two: StartTwo, tmp_path: Path, redis_key_prefix: str
) -> None:
    names = ("REDIS_CA_FILE", "REDIS_CERT_FILE", "REDIS_KEY_FILE", "REDIS_USERNAME_FILE", "REDIS_PASSWORD_FILE")
    files = {name: tmp_path / name for name in names}
    server_files = [tmp_path / name for name in ("server.crt", "server.key", "server-ca.crt")]

    def certify(generation: int) -> None:
        """A new authority, and new certificates of both sides."""
        folder = tmp_path / str(generation)
        folder.mkdir()
        authority = issue(folder, "authority")
        own, server = issue(folder, "service", authority), issue(folder, "redis", authority)
        _install([authority.certificate_file, own.certificate_file, own.key_file], list(files.values())[:3])
        _install([server.certificate_file, server.key_file, authority.certificate_file], server_files)

    def name_user(name: str, password: str) -> None:
        files["REDIS_USERNAME_FILE"].write_text(name)
        files["REDIS_PASSWORD_FILE"].write_text(password)

    certify(0)
    name_user("first", "password-0")
    tls_port = free_port()
    server = redis_process(
        *("--appendonly", "yes", "--appendfsync", "always", "--tls-port", str(tls_port), "--tls-auth-clients", "yes"),
        *("--tls-cert-file", str(server_files[0]), "--tls-key-file", str(server_files[1])),
        *("--tls-ca-cert-file", str(server_files[2])),
        *("--aclfile", str(allow(tmp_path, ("first", "password-0", redis_key_prefix)))),
    )
    environment = {name: str(path) for name, path in files.items()}
    replicas = await start_two(REDIS_URL=f"rediss://127.0.0.1:{tls_port}/0", **environment)
    with redis.Redis(port=server.port, password="operator") as operator:  # not over TLS: nothing of it is tested
        async with proof.traffic(*replicas) as traffic:
            await traffic.until_well()
            for number in range(1, 4):  # another password, while the old one still counts for a moment
                operator.acl_setuser("first", enabled=True, passwords=[f"+password-{number}"])
                name_user("first", f"password-{number}")
                operator.acl_setuser("first", enabled=True, passwords=[f"-password-{number - 1}"])
                operator.client_kill_filter(_type="normal", skipme=True)
                await asyncio.sleep(1)
                await traffic.until_well()
            allow(tmp_path, ("second", "password-of-another", redis_key_prefix))  # another user; the old one is gone
            name_user("second", "password-of-another")
            operator.acl_load()
            await asyncio.sleep(1)
            await traffic.until_well()
            for number in range(1, 3):  # another authority and other certificates on both sides
                await asyncio.to_thread(certify, number)
                await asyncio.to_thread(server.restart)
                await asyncio.sleep(1)
                await traffic.until_well()
            await traffic.check()
    proof.conclude(
        "tls-and-users", notes="three passwords, another user, two other authorities; no restart of the service"
    )


def _install(sources: list[Path], targets: list[Path]) -> None:
    for source, target in zip(sources, targets, strict=True):
        new = target.with_suffix(".new")
        new.write_bytes(source.read_bytes())
        new.replace(target)


async def test_two_installations(
    proof: Proof, redis_process: StartRedis, start_replica: StartReplica, tmp_path: Path
) -> None:
    users = [("one", "password-one", "house/one"), ("two", "password-two", "house/two")]
    server = redis_process("--aclfile", str(allow(tmp_path, *users)))
    models, traffics = [proof.model, Model(BOUND_SECONDS)], []
    models[1].start_counting_at(1_000_000)
    for (name, password, prefix), model in zip(users, models, strict=True):
        settings = {
            "REDIS_URL": server.url,
            "REDIS_USERNAME": name,
            "REDIS_PASSWORD": password,
            "REDIS_KEY_PREFIX": prefix,
        }
        replicas = [await start_replica(**settings), await start_replica(**settings)]
        traffics.append(proof.traffic(*replicas, model=model))
    async with traffics[0], traffics[1]:
        await asyncio.sleep(5)
    for traffic in traffics:
        await traffic.check()
    strangers = 0
    for model, other in zip(models, reversed(traffics), strict=True):
        for token in [token for token in model.alive() if token.kind == "opaque"][-200:]:
            # Not judged by the model: to the other installation it never was.
            answer = await other.ask_about(token)
            assert answer.body == b'{"active":false}'
            assert await other.revoke_stranger(token)
            strangers += 1
        await traffics[models.index(model)].check(200)
    with redis.Redis(port=server.port, password="operator") as operator:
        names = list(operator.scan_iter(count=1_000))
        assert names
        assert all(name.startswith((b"house/one{", b"house/two{")) for name in names)
    proof.model.add_counts_of(models[1])
    proof.conclude(
        "two-installations", notes=f"{strangers} tokens shown to the other one: unknown there, untouched here"
    )
