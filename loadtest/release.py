"""A release of the chart for the time of a load test: the values of the run, and the way back.

Rules:
- The way back is a rollback to the revision that was there: its values, its chart, and no client without a limit. It is
  gone after a failure and after a signal, too.
- A release that could not be put back, or only by starting a run of its own again, is left alone.
"""

import contextlib
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from loadtest.kube import ClusterError, json_of, output_of, service_pods
from loadtest.scenarios import Scenario

READY_SECONDS = 300.0
"""How long the release's pods may take to be ready after a change of it, and those that they replace to be gone."""
_LOOK_SECONDS = 1.0


def values_of(
    scenario: Scenario, environ: Mapping[str, str], given: Mapping[str, Any], settings: Sequence[str] = ()
) -> dict[str, Any]:
    """The chart's ``loadTest`` for a run. ``given``: the release's own values, ``settings``: what is laid over all."""
    before: Mapping[str, Any] = given.get("loadTest") or {}
    told = {**scenario.environ, **environ}
    kept = [variable for variable in before.get("env") or () if variable.get("name") not in told]
    values: dict[str, Any] = {
        "enabled": True,
        "scenario": scenario.script,
        "runId": "",
        "operator": {"enabled": False},
        "env": [*kept, *({"name": name, "value": value} for name, value in told.items())],
    }
    elsewhere = before.get("calibrationUrl") or any(one.startswith("loadTest.calibrationUrl=") for one in settings)
    if scenario.calibrates and not elsewhere:
        values["calibration"] = {"enabled": True}
    return values


def revision_to_return_to(helm: Sequence[str], release: str) -> int:
    """The release's revision. Raises ClusterError where it could not be put back, or would begin a run of its own."""
    status = json_of([*helm, "status", release, "--output", "json"])
    revision: int = status["version"]
    if status["info"]["status"] != "deployed":
        raise ClusterError(
            f"revision {revision} of {release} is {status['info']['status']}, not deployed: nothing could be put back; "
            f"see helm history {release}"
        )
    if re.search(r"^ +auth-service/run-id:", output_of([*helm, "get", "manifest", release]), re.MULTILINE):
        raise ClusterError(
            f"revision {revision} of {release} has a load test by k6-operator, which putting it back would start "
            "again: first upgrade it with loadTest.enabled=false"
        )
    return revision


def await_departures(namespace: str, release: str) -> None:
    """Wait until no pod of the service is on its way out, which helm does not: its name still leads there.

    Raises ClusterError.
    """
    deadline = time.monotonic() + READY_SECONDS
    while True:
        pods = service_pods(namespace, release)["items"]
        leaving = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]]
        if not leaving:
            return
        if time.monotonic() >= deadline:
            raise ClusterError(f"{', '.join(leaving)}: not gone {READY_SECONDS:g} s after the release was changed")
        time.sleep(_LOOK_SECONDS)


@contextlib.contextmanager
def put_back(helm: Sequence[str], release: str, revision: int, say: Callable[[str], None]) -> Iterator[None]:
    """Afterwards the release is as it was, with the chart and the values of that revision, whatever happened."""
    rollback = [*helm, "rollback", release, str(revision), "--wait", "--timeout", f"{READY_SECONDS:g}s"]
    try:
        yield
    finally:
        say(f"putting release {release} back to revision {revision}")
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            output_of(rollback, start_new_session=True)
        except ClusterError as error:
            raise ClusterError(
                f"the release was not put back, so do it by hand: {' '.join(rollback)}\n{error}"
            ) from None
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
