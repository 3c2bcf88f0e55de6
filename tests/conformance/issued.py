"""Tokens for the conformance suite: records with believable content and digests of random tokens."""

import hashlib
import secrets

import msgspec

from app.model.tokens import RECORD_VERSION, AccessTokenRecord, RefreshTokenRecord, TokenRef
from app.storage.interface import Issuance, TokenStore, Unknown


def new_ref(tag: str | None = None) -> TokenRef:
    return TokenRef(tag=tag or secrets.token_hex(2), digest=hashlib.sha256(secrets.token_bytes(32)).digest())


def new_family() -> str:
    return secrets.token_hex(2) + secrets.token_urlsafe(16)


def access_record(now: float, seconds: int = 3600, family: str | None = None) -> AccessTokenRecord:
    return AccessTokenRecord(
        version=RECORD_VERSION,
        client_id="billing",
        subject="user-1",
        scope="read write",
        audience=("https://api.example.com",),
        issued_at=int(now),
        expires_at=int(now) + seconds,
        family=family,
    )


def refresh_record(now: float, family: str, seconds: int = 86_400) -> RefreshTokenRecord:
    return RefreshTokenRecord(
        version=RECORD_VERSION,
        client_id="billing",
        subject="user-1",
        scope="read write",
        audience=("https://api.example.com",),
        issued_at=int(now),
        expires_at=int(now) + seconds,
        family=family,
        family_expires_at=int(now) + 30 * 86_400,
    )


class Grant(msgspec.Struct, frozen=True):
    """An access and a refresh token of one family."""

    access: TokenRef
    refresh: TokenRef
    family: str
    issuance: Issuance

    @property
    def refresh_record(self) -> RefreshTokenRecord:
        assert self.issuance.refresh is not None
        return self.issuance.refresh[1]

    @property
    def access_record(self) -> AccessTokenRecord:
        assert self.issuance.access is not None
        return self.issuance.access[1]

    def used(self, now: float) -> RefreshTokenRecord:
        return msgspec.structs.replace(self.refresh_record, used_at=int(now))


def new_grant(
    now: float, family: str | None = None, access_seconds: int = 3600, refresh_seconds: int = 86_400
) -> Grant:
    family = family or new_family()
    access, refresh = new_ref(family[:4]), new_ref(family[:4])
    return Grant(
        access=access,
        refresh=refresh,
        family=family,
        issuance=Issuance(
            access=(access, access_record(now, access_seconds, family)),
            refresh=(refresh, refresh_record(now, family, refresh_seconds)),
        ),
    )


async def look_up(store: TokenStore, ref: TokenRef) -> AccessTokenRecord | None:
    """The record of an access token as introspection gets it: recalled at once where that can be, else asked for."""
    found = store.recall_access_token(ref)
    return await store.find_access_token(ref) if isinstance(found, Unknown) else found
