"""How many processes count requests for themselves, in the Job of a hot client.

The chart knows how many pods there may be; with autoscaling that is far more than there are, and what so many may let
through is no bound. So the Job is told how many there are when it starts.
"""

from typing import Any

from loadtest.kube import json_of, service_pods

NAME = "LIMITERS"


def job_of(namespace: str, run_id: str, template: str, release: str) -> dict[str, Any]:
    """The manifest of the Job of this template (``cronjob/…``), with the number of pods. Raises ClusterError."""
    kubectl = ["kubectl", "-n", namespace]
    job: dict[str, Any] = json_of(
        [*kubectl, "create", "job", run_id, f"--from={template}", "--dry-run=client", "-o", "json"]
    )
    return told(job, ready(service_pods(namespace, release)))


def ready(pods: dict[str, Any]) -> int:
    """How many of a list of pods are ready, and will go on."""
    return sum(
        any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))
        for pod in pods["items"]
        if "deletionTimestamp" not in pod["metadata"]
    )


def told(job: dict[str, Any], pods: int) -> dict[str, Any]:
    """The Job, told of that many pods; the one that counts for all, and a number that was given by hand, stay."""
    for container in job["spec"]["template"]["spec"]["containers"]:
        of_it = [variable for variable in container.get("env", ()) if variable["name"] == NAME]
        if len(of_it) == 1 and of_it[0]["value"] != "1" and pods > 0:  # by hand it stands behind the chart's
            of_it[0]["value"] = str(pods)
    return job
