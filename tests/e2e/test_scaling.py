"""More and fewer pods under load: the autoscaler loses nothing, and pools of connections reach a new pod."""

import time

import pytest

from tests.e2e.cluster import Namespace, wait_for
from tests.e2e.figures import Figures
from tests.e2e.installation import Install, production
from tests.e2e.load import LoadPod

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
REQUESTS = "http_server_request_duration_seconds_count"


def test_the_autoscaler_scales_up_and_down_and_loses_nothing(
    namespace: Namespace, load_pod: LoadPod, install: Install, figures: Figures
) -> None:
    """Needs metrics-server. The CPU request is so small that three hundred requests a second are too much for two."""
    down = {"stabilizationWindowSeconds": 15, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 15}]}
    autoscaling = {"enabled": True, "minReplicas": 2, "maxReplicas": 4, "behavior": {"scaleDown": down}}
    values = production(namespace, autoscaling=autoscaling, resources={"requests": {"cpu": "25m"}})
    service = install(namespace, "h", values)

    def ready() -> int:
        return len(namespace.ready_addresses(service))

    with load_pod.running(service, rate=10, users=5) as steady:
        with load_pod.running(service, rate=300, users=60) as heavy:
            began = time.monotonic()
            wait_for(lambda: ready() >= 4, "four pods", 240, 2)
            up = time.monotonic() - began
            time.sleep(10)
            more = heavy.stop()
        steady.phase("down")
        began = time.monotonic()
        wait_for(lambda: ready() <= 2, "two pods", 300, 2)
        fewer = time.monotonic() - began
        time.sleep(15)  # the last pod drains
        always = steady.stop()
    figures.add(
        "autoscaling, 2 to 4 to 2 pods",
        requests=more.seen().asked + always.seen().asked,
        lost=more.seen().lost + always.seen().lost,
        wrong_answers=more.seen().wrong + always.seen().wrong,
        seconds_to_four_ready_pods=f"{up:.0f}",
        seconds_back_to_two=f"{fewer:.0f}",
    )
    for seen in (more.seen(), always.seen()):
        assert (seen.lost, seen.wrong) == (0, 0), seen.examples


def test_a_new_pod_has_its_share_of_pooled_connections_within_a_minute(
    namespace: Namespace, load_pod: LoadPod, install: Install, figures: Figures
) -> None:
    service = install(namespace, "a", production(namespace))
    users = 600

    def counts() -> dict[str, float]:
        names = [pod["metadata"]["name"] for pod in namespace.pods("a")]
        return {name: namespace.metric(name, REQUESTS, 'http_route="/jwks.json"') for name in names}

    with load_pod.running(service, rate=60, users=users, only="jwks") as load:
        time.sleep(2 * users / 60)
        old = set(counts())
        namespace.kubectl("scale", f"deployment/{service}", "--replicas=4")
        wait_for(lambda: len(namespace.ready_addresses(service)) == 4, "the fourth endpoint", 60, 0.2)
        ready = time.monotonic()
        new = (set(counts()) - old).pop()
        shares, windows = {}, ((0, 15), (60, 90))
        for start, end in windows:
            time.sleep(max(0.0, ready + start - time.monotonic()))
            before = counts()
            time.sleep(max(0.0, ready + end - time.monotonic()))
            after = counts()
            asked = {name: after[name] - before[name] for name in after}
            shares[start] = asked[new] / sum(asked.values()) * len(asked)
        outcome = load.stop()
    figures.add(
        "a fourth pod and 600 pooled connections",
        share_of_its_fair_share_in_the_first_15_s=f"{shares[0]:.0%}",
        share_after_60_s=f"{shares[60]:.0%}",
        requests=outcome.seen().asked,
        lost=outcome.seen().lost,
    )
    assert shares[0] < 0.8  # the connections were pooled: the share comes from their age, and from nothing else
    assert shares[60] >= 0.8
    assert outcome.seen().lost == 0, outcome.seen().examples
