"""Secrets do not show, whatever is done with them but revealing."""

import copy
import json

import msgspec
import pytest

from app.model.secret_text import SecretText


class Holder(msgspec.Struct, frozen=True):
    secret: SecretText


def test_a_secret_shows_in_no_representation() -> None:
    secret = SecretText("hunter2")
    shown = f"{secret} {secret!r} {secret:>20} {secret!s} {Holder(secret)} {[secret]} {ValueError(secret)}"
    assert "hunter2" not in shown
    assert "hunter2" not in "%s %r" % (secret, secret)  # noqa: UP031 - as log calls format
    assert secret.reveal() == "hunter2"


def test_a_secret_is_not_serialised() -> None:
    for serialise in (json.dumps, msgspec.json.encode, copy.copy):
        with pytest.raises(TypeError):
            serialise(SecretText("hunter2"))


def test_secrets_compare_by_content() -> None:
    assert SecretText("a") == SecretText("a") != SecretText("b")
    assert hash(SecretText("a")) == hash(SecretText("a"))
    assert SecretText("a") != "a"
    assert not SecretText("")
