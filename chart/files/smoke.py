"""helm test: discovery, JWKS, and a token's whole life (issue, introspect, revoke), through the Service.

Settings from the environment: SERVICE_URL, ISSUER, CLIENT_ID_FILE, CLIENT_SECRET_FILE, WAIT_SECONDS (how long the
service may take to know the client: kubelet brings it to the pods within two minutes), CA_FILE (optional: what the
service's own certificate leads to).
Every step prints one line; the first one that is wrong ends the test with 1. Secrets and tokens are never printed.
"""

import base64
import json
import os
import pathlib
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

URL = os.environ["SERVICE_URL"]
ISSUER = os.environ["ISSUER"]
WAIT_SECONDS = float(os.environ.get("WAIT_SECONDS", "150"))
TLS = ssl.create_default_context(cafile=os.environ.get("CA_FILE")) if URL.startswith("https:") else None


def call(path, form=None, credentials=None):
    """The status and the body of an answer."""
    headers = {"Accept": "application/json"}
    if credentials is not None:
        pair = ":".join(urllib.parse.quote(part, safe="") for part in credentials)
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    data = None if form is None else urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(URL + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=10, context=TLS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def expect(step, condition, found):
    if not condition:
        sys.exit(f"FAILED {step}: {found}")
    print(f"ok {step}", flush=True)


def issue(credentials):
    """Get a token; a client that the service does not know yet, and a connection that is refused, are tried again."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            status, body = call("/oauth/token", {"grant_type": "client_credentials"}, credentials)
        except OSError as error:
            status, body = 0, str(error).encode()
        if status == 200 or status not in (0, 401, 503) or time.monotonic() > deadline:
            return status, body
        time.sleep(2)


def main():
    files = (os.environ["CLIENT_ID_FILE"], os.environ["CLIENT_SECRET_FILE"])
    credentials = tuple(pathlib.Path(file).read_text(encoding="utf-8").strip() for file in files)
    status, body = issue(credentials)
    expect("a token is issued", status == 200, f"status {status}, {body[:200] if status != 200 else ''}")
    token = json.loads(body)["access_token"]

    path = urllib.parse.urlsplit(ISSUER).path.rstrip("/")
    status, body = call("/.well-known/oauth-authorization-server" + path)
    expect("metadata is published", status == 200, f"status {status}")
    metadata = json.loads(body)
    expect("the issuer is the configured one", metadata.get("issuer") == ISSUER, metadata.get("issuer"))
    expect(
        "the JWKS is where the issuer is", metadata.get("jwks_uri") == ISSUER + "/jwks.json", metadata.get("jwks_uri")
    )

    status, body = call("/jwks.json")
    keys = json.loads(body).get("keys", []) if status == 200 else []
    expect("the JWKS has keys", len(keys) >= 2, f"status {status}, {len(keys)} keys")
    private = sorted(set().union(*map(set, keys)) & {"d", "p", "q", "dp", "dq", "qi", "k"})
    expect("the keys are public ones", not private, private)

    status, body = call("/oauth/introspect", {"token": token}, credentials)
    active = json.loads(body).get("active") if status == 200 else None
    expect("the token is active", active is True, f"status {status}, active {active}")
    status, _ = call("/oauth/revoke", {"token": token}, credentials)
    expect("the token is revoked", status == 200, f"status {status}")
    status, body = call("/oauth/introspect", {"token": token}, credentials)
    active = json.loads(body).get("active") if status == 200 else None
    expect("the token is active no more", active is False, f"status {status}, active {active}")
    status, _ = call("/oauth/introspect", {"token": token})
    expect("introspection needs a client", status == 401, f"status {status}")


if __name__ == "__main__":
    main()
