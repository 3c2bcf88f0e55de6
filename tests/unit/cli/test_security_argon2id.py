"""How slow a chosen secret is to guess."""

from argon2 import Type, extract_parameters
from click.testing import CliRunner

from app.cli import cli


def test_a_chosen_secret_gets_the_parameters_of_rfc_9106() -> None:
    """RFC 9106 section 4, the second recommended option: 64 MiB, three passes, four lanes."""
    hashed = CliRunner().invoke(cli, ["clients", "hash"], input="correct horse battery staple\n").stdout.strip()
    used = extract_parameters(hashed)
    assert used.type is Type.ID
    assert (used.time_cost, used.memory_cost, used.parallelism) == (3, 64 * 1024, 4)
    assert (used.salt_len, used.hash_len) == (16, 32)


def test_every_hash_has_a_salt_of_its_own() -> None:
    hashes = {CliRunner().invoke(cli, ["clients", "hash"], input="one secret\n").stdout for _ in range(2)}
    assert len(hashes) == 2
