"""Every algorithm that can be set, verified by a resource server in Python and one on Node."""

import json
from collections.abc import Callable

import jwt
import pytest

from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import API, with_secret
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ServiceProcess

CLIENT = with_secret("any", access_token={"format": "jwt"}, audiences=[API])


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA"])
def test_tokens_verify_by_the_jwks(
    start_service_once: StartService,
    calls_of: Callable[[ServiceProcess], ServiceCalls],
    run_node: Callable[..., str],
    algorithm: str,
) -> None:
    service = calls_of(start_service_once(clients=(CLIENT,), KEYS_ALGORITHMS=algorithm))
    issuer, token = service.process.base_url, service.access_token(CLIENT)

    key = jwt.PyJWKClient(f"{issuer}/jwks.json").get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=[algorithm], audience=API, issuer=issuer)
    assert claims["client_id"] == CLIENT.id

    environment = {"ISSUER": issuer, "AUDIENCE": API, "TOKENS": json.dumps([token])}
    (verified,) = json.loads(run_node("jose.mjs", environment=environment))
    assert verified == {"algorithm": algorithm, "payload": claims}

    assert service.is_active(CLIENT, token)
    service.revoke(CLIENT, token)
    assert not service.is_active(CLIENT, token)
