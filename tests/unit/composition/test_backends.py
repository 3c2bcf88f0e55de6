"""What a service stands on: the operators' token is read at each use, and is as strong as at the start."""

from pathlib import Path

import pytest

from app.composition.backends import operator_token_reader
from app.config.listeners import ListenerSettings
from app.config.values import Address


@pytest.mark.parametrize(("host", "short_counts"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_a_token_that_became_too_short_counts_on_loopback_alone(
    host: str, short_counts: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text("t" * 32)
    read = operator_token_reader(ListenerSettings(admin_addr=Address(host, 9465), admin_token_file=file))
    assert read() == "t" * 32
    file.write_text("canary" + "t" * 25)
    assert read() == ("canary" + "t" * 25 if short_counts else None)
    assert ("fewer than 32 characters" in caplog.text) is not short_counts
    assert "canary" not in caplog.text
    file.write_text("")
    assert read() is None
