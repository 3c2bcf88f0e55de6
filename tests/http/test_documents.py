"""JWKS, metadata and OpenAPI: documents that are the same for everybody, and how they are cached."""

import json
from collections.abc import Callable

import jwt
import pytest

from tests.programs.service_calls import JsonObject, ServiceCalls, good_json
from tests.programs.service_clients import BASIC, JWT
from tests.programs.service_fixtures import FAST_PATHS, ServiceOfMode, StartService
from tests.programs.service_process import ServiceProcess, wait_until

OAUTH = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
DOCUMENTS = ["/jwks.json", OAUTH, OPENID, "/openapi.json"]
EVERY_DOCUMENT = pytest.mark.parametrize("path", DOCUMENTS)
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}  # RFC 7518 sections 6.2.2, 6.3.2, 6.4.1


@EVERY_DOCUMENT
def test_a_document_is_json_and_may_be_kept_for_a_while(service: ServiceCalls, path: str) -> None:
    response = service.http.get(path)
    assert good_json(response)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "public, max-age=300"
    assert response.headers["etag"].startswith('"')


@EVERY_DOCUMENT
def test_who_has_it_already_gets_304(service: ServiceCalls, path: str) -> None:
    full = service.http.get(path)
    etag = full.headers["etag"]
    for known in (etag, f"W/{etag}", f'"something", {etag}', "*"):
        response = service.http.get(path, headers={"if-none-match": known})
        assert (response.status_code, response.content) == (304, b""), known
        # RFC 9110 section 15.4.5: what a 200 would have had to say of caching.
        assert response.headers["etag"] == etag
        assert response.headers["cache-control"] == full.headers["cache-control"]
    assert service.http.get(path, headers={"if-none-match": '"another"'}).content == full.content


@EVERY_DOCUMENT
def test_head_has_the_headers_of_get_and_no_body(service: ServiceCalls, path: str) -> None:
    full, head = service.http.get(path), service.http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    differs = {"date", "x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in differs} == {
        k: v for k, v in full.headers.items() if k not in differs
    }


def test_the_jwks_has_public_members_alone(service: ServiceCalls) -> None:
    keys = good_json(service.http.get("/jwks.json"))["keys"]
    assert {key["alg"] for key in keys} == {"ES256", "RS256"}
    for key in keys:
        assert PRIVATE_MEMBERS.isdisjoint(key), key.keys()
        assert key["use"] == "sig"
        assert key["kid"]
    assert len({key["kid"] for key in keys}) == len(keys)


def test_a_successor_of_every_algorithm_is_published_before_it_signs(service: ServiceCalls) -> None:
    # Made in the background, so that the start need not wait for them.
    wait_until(lambda: len(service.stats()["keys"]) == 4, "the successors")
    keys = service.stats()["keys"]
    assert sorted((key["algorithm"], key["state"]) for key in keys) == [
        ("ES256", "published"),
        ("ES256", "signing"),
        ("RS256", "published"),
        ("RS256", "signing"),
    ]
    published = {key["kid"] for key in good_json(service.http.get("/jwks.json"))["keys"]}
    assert published == {key["kid"] for key in keys}


def test_tokens_verify_by_the_jwks(service: ServiceCalls) -> None:
    keys = {key["kid"]: key for key in good_json(service.http.get("/jwks.json"))["keys"]}
    token = service.access_token(JWT)
    key = jwt.PyJWK(keys[jwt.get_unverified_header(token)["kid"]])
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="https://api.example.com")
    assert claims["client_id"] == "jwt"


def test_the_authorization_server_metadata(service: ServiceCalls) -> None:
    base = service.process.base_url
    metadata = good_json(service.http.get(OAUTH))
    assert metadata["issuer"] == base
    assert metadata["token_endpoint"] == f"{base}/oauth/token"
    assert metadata["introspection_endpoint"] == f"{base}/oauth/introspect"
    assert metadata["revocation_endpoint"] == f"{base}/oauth/revoke"
    assert metadata["jwks_uri"] == f"{base}/jwks.json"
    assert metadata["grant_types_supported"] == ["client_credentials", "refresh_token"]
    assert set(metadata["scopes_supported"]) >= {"read", "write", "delete"}
    methods = {"client_secret_basic", "client_secret_post", "private_key_jwt"}
    assert set(metadata["token_endpoint_auth_methods_supported"]) == methods | {"none"}
    assert set(metadata["revocation_endpoint_auth_methods_supported"]) == methods | {"none"}
    assert set(metadata["introspection_endpoint_auth_methods_supported"]) == methods
    for endpoint in ("token", "introspection", "revocation"):
        algorithms = metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert "ES256" in algorithms
        assert "none" not in algorithms
        assert not any(algorithm.startswith("HS") for algorithm in algorithms)


def test_the_openid_provider_metadata_says_the_same_and_more(service: ServiceCalls) -> None:
    openid = good_json(service.http.get(OPENID))
    assert good_json(service.http.get(OAUTH)).items() <= openid.items()
    assert openid["subject_types_supported"] == ["public"]
    assert "RS256" in openid["id_token_signing_alg_values_supported"]  # OpenID Connect Discovery section 3: MUST


def test_metadata_advertises_only_what_works(service: ServiceCalls) -> None:
    for path in (OAUTH, OPENID):
        metadata = good_json(service.http.get(path))
        assert metadata["response_types_supported"] == []
        assert {"authorization_endpoint", "userinfo_endpoint", "registration_endpoint"}.isdisjoint(metadata)
        for name, url in metadata.items():
            if name.endswith("_endpoint"):
                answer = service.http.post(url, data={"token": "x"})
                assert answer.status_code == 401, name
    for path in ("/oauth/authorize", "/oauth/userinfo"):
        assert service.http.get(path).status_code == 404


def test_the_issuer_never_comes_from_the_host_header(service: ServiceCalls) -> None:
    for path in (OAUTH, OPENID):
        response = service.http.get(path, headers={"host": "evil.example.com", "x-forwarded-host": "evil.example.com"})
        assert "evil" not in response.text
    headers = {"host": "evil.example.com", "x-forwarded-proto": "https"}
    form = {"grant_type": "client_credentials"}
    answer = good_json(service.http.post("/oauth/token", auth=JWT.basic, data=form, headers=headers))
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["iss"] == service.process.base_url


def test_an_issuer_with_a_path_places_its_metadata_as_the_rfcs_say(
    start_service: StartService, calls_of: Callable[[ServiceProcess], ServiceCalls]
) -> None:
    issuer = "https://auth.example.com/tenant/one"
    service = calls_of(start_service(EXTERNAL_BASE_URL=issuer))
    # RFC 8414 section 3.1 puts the path behind, OpenID Connect Discovery section 4.1 before the well-known part.
    oauth = good_json(service.http.get(OAUTH + "/tenant/one"))
    openid = good_json(service.http.get("/tenant/one" + OPENID))
    for metadata in (oauth, openid):
        assert metadata["issuer"] == issuer
        assert metadata["token_endpoint"] == f"{issuer}/oauth/token"
        assert metadata["jwks_uri"] == f"{issuer}/jwks.json"
    assert service.http.get(OAUTH).status_code == 404
    # A proxy may strip the issuer's path or hand it on: what metadata names is found either way.
    # A young ring publishes its successors between two requests, once: then what came behind is the same.
    before, whole, behind = (service.http.get(f"{path}/jwks.json").json() for path in ("", "/tenant/one", ""))
    assert whole in (before, behind)
    assert service.http.get(OPENID).json() == openid
    form = {"grant_type": "client_credentials"}
    answer = service.http.post("/tenant/one/oauth/token", auth=BASIC.basic, data=form)
    assert answer.status_code == 200
    # The issuer is https, so everything it serves is (RFC 6797).
    assert answer.headers["strict-transport-security"] == "max-age=63072000"
    assert service.http.get("/nothing").headers["strict-transport-security"] == "max-age=63072000"
    assert service.introspect(BASIC, service.access_token(BASIC))["iss"] == issuer
    assert jwt.decode(service.access_token(JWT), options={"verify_signature": False})["iss"] == issuer


def test_the_openapi_document_describes_every_public_route(service: ServiceCalls) -> None:
    document = good_json(service.http.get("/openapi.json"))
    assert document["openapi"].startswith("3.")
    assert document["servers"] == [{"url": service.process.base_url}]
    methods = {path: "".join(item) for path, item in document["paths"].items()}
    posts = dict.fromkeys(["/oauth/token", "/oauth/introspect", "/oauth/revoke"], "post")
    gets = dict.fromkeys([*DOCUMENTS, "/health", "/health/live", "/health/ready"], "get")
    assert methods == posts | gets


def test_the_documents_are_alike_in_every_mode(service_of_mode: ServiceOfMode) -> None:
    for path in (OAUTH, OPENID, "/openapi.json"):
        documents = [comparable(service_of_mode(mode), path) for mode in FAST_PATHS]
        assert documents.count(documents[0]) == len(documents), path


def comparable(service: ServiceCalls, path: str) -> JsonObject:
    text = service.http.get(path).text.replace(service.process.base_url, "http://issuer")
    document: JsonObject = json.loads(text)
    return document
