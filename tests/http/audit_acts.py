"""Acts that matter to security, as a table: what is done, and what is told of it."""

import json
from collections.abc import Callable

from tests.http.audit_scene import Act, Scene, changed, issued, no_client, no_token, refused
from tests.programs.service_calls import client_assertion
from tests.programs.service_clients import (
    ADMIN,
    AUDITOR,
    BASIC,
    CHOSEN,
    JWT,
    LIMITED,
    NO_GRANT,
    OTHER,
    POST,
    PUBLIC,
    REFRESHER,
    REFRESHER_JWT,
    write_clients,
)


def post(path: str, auth: tuple[str, str] | None, **form: str) -> Callable[[Scene], object]:
    named: dict[str, tuple[str, str]] = {} if auth is None else {"auth": auth}
    return lambda scene: scene.calls.http.post(path, data=form, **named)  # type: ignore[arg-type]


def use(scene: Scene, times: int) -> None:
    """Use one refresh token several times."""
    token = scene.calls.token(REFRESHER)["refresh_token"]
    for _ in range(times):
        scene.calls.refresh(REFRESHER, token)


def replay(scene: Scene) -> None:
    assertion = client_assertion("https://auth.example.com")
    for _ in range(2):
        scene.assert_by(assertion)


def promote(scene: Scene) -> None:
    keys = json.loads((scene.folder / "keyring.json").read_text())["keys"]
    scene.command("keys", "promote", keys[-1]["kid"], "--now")


def revoke_key(scene: Scene) -> None:
    keys = json.loads((scene.folder / "keyring.json").read_text())["keys"]
    scene.command("keys", "revoke", keys[0]["kid"], "--reason", "leaked", "--yes")


def fail_to_rotate(scene: Scene) -> None:
    broken = scene.folder / "broken.json"
    broken.write_text("{")
    scene.command("keys", "rotate", "--force", KEYS_FILE=str(broken))


def restore(scene: Scene) -> None:
    other = str(scene.folder / "other.json")
    scene.command("keys", "import", str(scene.folder / "keyring.json"), KEYS_FILE=other)


TOKEN, INTROSPECT, REVOKE = "/oauth/token", "/oauth/introspect", "/oauth/revoke"
CREDENTIALS = {"grant_type": "client_credentials"}
ACTS = [
    # tokens issued
    Act("opaque", lambda s: s.calls.token(BASIC), issued("basic")),
    Act("JWT", lambda s: s.calls.token(JWT), issued("jwt")),
    Act("with a refresh token", lambda s: s.calls.token(REFRESHER_JWT), issued("refresher-jwt")),
    Act("by a chosen secret", lambda s: s.calls.token(CHOSEN), issued("chosen")),
    Act("by an assertion", lambda s: s.assert_by(client_assertion("https://auth.example.com")), issued("signed")),
    Act("refreshed", lambda s: use(s, 1), issued("refresher") * 2),
    # reuse detected
    Act(
        "reuse",
        lambda s: use(s, 2),
        [*issued("refresher") * 2, *refused("refresh_token.reused", "refresher", "refresh_token_reused")],
    ),
    # tokens refused
    Act(
        "scope",
        lambda s: s.calls.request_token(BASIC, scope="more"),
        no_token("basic", "scope_not_allowed"),
    ),
    Act(
        "grant",
        lambda s: s.calls.request_token(BASIC, grant_type="x"),
        no_token("basic", "unsupported_grant_type"),
    ),
    Act(
        "no grant of its own",
        lambda s: s.calls.request_token(NO_GRANT),
        no_token("no-grant", "unauthorized_client"),
    ),
    Act(
        "audience",
        lambda s: s.calls.request_token(JWT, resource="https://x"),
        no_token("jwt", "resource_not_allowed"),
    ),
    Act(
        "unknown refresh token",
        lambda s: s.calls.refresh(REFRESHER, "x"),
        no_token("refresher", "refresh_token_unknown"),
    ),
    Act("malformed", post(TOKEN, BASIC.basic, grant_type=""), no_token("basic", "missing_parameter")),
    Act(
        "a query string of a client whose secret might be guessed, which is not compared",
        post(f"{TOKEN}?a=b", BASIC.basic, **CREDENTIALS),
        no_token(None, "query_string"),
    ),
    Act("a query string of nobody", post(f"{REVOKE}?a=b", None, token="x"), no_token(None, "query_string")),
    Act(
        "another's token to be revoked",
        lambda s: s.calls.revoke(OTHER, s.calls.access_token(BASIC)),
        [*issued("basic"), *no_token("other", "not_the_owner")],
    ),
    # clients refused
    *(
        Act(f"{why} at {path}", post(path, auth, token="x", **CREDENTIALS), no_client(client, why))
        for path in (TOKEN, INTROSPECT, REVOKE)
        for why, auth, client in (
            ("unknown_client", ("nobody", "x"), None),
            ("wrong_secret", (BASIC.id, "x"), BASIC.id),
            ("wrong_secret", (CHOSEN.id, "x"), CHOSEN.id),
            ("wrong_method", POST.basic, POST.id),
        )
    ),
    Act("nobody", post(TOKEN, None, **CREDENTIALS), no_client(None, "no_credentials")),
    Act("a replay", replay, [*issued("signed"), *no_client("signed", "assertion_replayed")]),
    Act(
        "a public client asks",
        post(INTROSPECT, None, client_id=PUBLIC.id, token="x"),
        no_client("public", "public_client"),
    ),
    # tokens revoked
    *(
        Act(
            f"{name} revoked",
            lambda s, client=client, name=name: s.calls.revoke(client, s.calls.token(client)[name]),  # type: ignore[misc]
            [*issued(client.id), ("token.revoked", "success", client.id, None)],
        )
        for client, name in ((BASIC, "access_token"), (JWT, "access_token"), (REFRESHER, "refresh_token"))
    ),
    # operators
    Act("no operator", lambda s: s.admin("stats", token=""), refused("admin.refused", None, "unauthenticated")),
    Act("a wrong token", lambda s: s.admin("stats", token="wrong"), refused("admin.refused", None, "invalid_token")),
    Act(
        "a token without the scope",
        lambda s: s.admin("", token=s.calls.access_token(ADMIN)),
        [*issued("admin"), *refused("admin.refused", None, "forbidden")],
    ),
    Act("a list", lambda s: s.admin("revocations/tokens", {"tokens": ["x"]}), changed("revoked a list of 1 tokens")),
    Act(
        "a list of tokens",
        lambda s: s.admin("revocations/tokens", {"tokens": [s.calls.access_token(BASIC), s.calls.access_token(JWT)]}),
        [*issued("basic"), *issued("jwt"), *[("token.revoked", "success", None, None)] * 2, *changed("revoked a list")],
    ),
    Act("of a client", lambda s: s.admin("revocations/client", {"client_id": "x"}), changed("revoked all tokens")),
    Act("of a subject", lambda s: s.admin("revocations/subject", {"subject": "x"}), changed("revoked all tokens")),
    Act("before", lambda s: s.admin("revocations/before", {"before": 1_700_000_000}), changed("revoked all tokens")),
    Act(
        "clients",
        lambda s: write_clients(s.folder / "clients.yaml", (BASIC, AUDITOR)),
        changed("clients reloaded: added none"),
    ),
    Act("the fence", lambda s: s.command("store", "fence", "--before", "1700000000"), changed("fenced the store")),
    # keys
    Act("a rotation", lambda s: s.command("keys", "rotate", "--force"), [("key.rotated", "success", None, None)]),
    Act("a rotation that fails", fail_to_rotate, [("key.rotated", "failed", None, None)]),
    Act("a key promoted", promote, changed("key ")),
    Act("a key revoked", revoke_key, [("key.revoked", "success", None, "leaked")]),
    Act("a ring restored", restore, changed("key ring restored")),
]


STRICT_ACTS = [
    Act(
        "reuse within the grace",
        lambda s: use(s, 2),
        [*issued("refresher") * 2, *refused("refresh_token.reused", "refresher", "refresh_token_reused_in_grace")],
    ),
    Act(
        "a client's limit",
        lambda s: [s.calls.request_token(LIMITED) for _ in range(7)],
        [*issued("limited") * 5, *refused("limit.hit", "limited", "client")],
    ),
    Act(
        "a limit of introspections",
        lambda s: [s.calls.request_introspection(AUDITOR, "x") for _ in range(7)],
        refused("limit.hit", "auditor", "introspection"),
    ),
    Act(
        "guessed secrets",
        lambda s: [s.calls.http.post(TOKEN, auth=(OTHER.id, "x"), data=CREDENTIALS) for _ in range(8)],
        [*no_client("other", "wrong_secret") * 6, *refused("limit.hit", "other", "failure")],
    ),
]
