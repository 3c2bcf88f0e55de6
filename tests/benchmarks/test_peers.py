"""The peers that are installed start, issue and introspect: what their rows check is true of them."""

from pathlib import Path

import pytest

from benchmarks.machine import split_cores
from benchmarks.peers.programs import Kind, kinds
from benchmarks.peers.rows import ENDPOINTS

KINDS = {kind.name: kind for kind in kinds()}


def test_every_peer_has_a_version() -> None:
    assert all(any(character.isdigit() for character in name) for name in KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_peer_issues_tokens_that_it_finds_active(kind: Kind, tmp_path: Path) -> None:
    if not kind.program.exists():
        pytest.skip(f"{kind.name} is not installed: make peers")
    server_cores, _ = split_cores()
    with kind.start(tmp_path, server_cores) as peer:
        for endpoint in kind.endpoints:
            row, _server = ENDPOINTS[endpoint](kind.name, peer)
            row.check()  # raises for any other answer
