"""Kubernetes: what kube-state-metrics and cAdvisor tell of the pods (alerts/external-metrics.yaml).

Job and instance are those of the exporters here; the namespace is one that a container of the service runs in.
"""

from tools.dashboards.model import Dashboard, Panel, Query, Row
from tools.dashboards.queries import increase, rate, ratio, selector, summed

_CONTAINER = 'container="auth-service"'
_WORKING_SET = "container_memory_working_set_bytes"
_LIMITS = "kube_pod_container_resource_limits"
_REQUESTED = "kube_pod_container_resource_requests"
_CPU = f'{_CONTAINER},resource="cpu"'
_MEMORY = f'{_CONTAINER},resource="memory"'
_SUCCEEDED = selector("kube_cronjob_status_last_successful_time")

_WORKLOAD = Row(
    "Replicas",
    [
        Panel(
            "Autoscaler",
            "Pods now, as many as the autoscaler wants, and its bounds.",
            "short",
            [
                Query(summed("horizontalpodautoscaler", selector(f"kube_horizontalpodautoscaler_{name}")), legend)
                for name, legend in (
                    ("status_current_replicas", "{{horizontalpodautoscaler}} now"),
                    ("status_desired_replicas", "{{horizontalpodautoscaler}} wanted"),
                    ("spec_min_replicas", "{{horizontalpodautoscaler}} at least"),
                    ("spec_max_replicas", "{{horizontalpodautoscaler}} at most"),
                )
            ],
        ),
        Panel(
            "Deployments",
            "Pods that are available, of those wanted.",
            "short",
            [
                Query(summed("deployment", selector("kube_deployment_status_replicas_available")), "{{deployment}}"),
                Query(summed("deployment", selector("kube_deployment_spec_replicas")), "{{deployment}} wanted"),
            ],
        ),
        Panel(
            "Ready pods",
            "Pods that Services send requests to.",
            "short",
            [Query(summed("pod", selector("kube_pod_status_ready", 'condition="true"')), "{{pod}}")],
            stacked=True,
        ),
        Panel(
            "Restarts",
            "Restarts of containers in a quarter of an hour.",
            "short",
            [Query(summed("pod", increase("kube_pod_container_status_restarts_total", "15m", _CONTAINER)), "{{pod}}")],
            "PodRestarting.restarts",
            width=12,
        ),
        Panel(
            "Key rotation job",
            "Time since the last success of each CronJob.",
            "s",
            [Query(f"time() - max by (cronjob) ({_SUCCEEDED})", "{{cronjob}}")],
            "KeyRotationJobFailing.seconds",
            width=12,
        ),
    ],
)

_RESOURCES = Row(
    "CPU and memory",
    [
        Panel(
            "CPU",
            "Cores that each pod uses.",
            "short",
            [Query(summed("pod", rate("container_cpu_usage_seconds_total", _CONTAINER)), "{{pod}}")],
            stacked=True,
        ),
        Panel(
            "CPU, part of the request",
            "What each pod uses, of what the scheduler set aside for it.",
            "percentunit",
            [
                Query(
                    f"{summed('pod', rate('container_cpu_usage_seconds_total', _CONTAINER))} / on (pod) "
                    + summed("pod", selector(_REQUESTED, _CPU)),
                    "{{pod}}",
                )
            ],
        ),
        Panel(
            "Throttling",
            "Part of the scheduler's periods in which a pod was held back by its CPU limit.",
            "percentunit",
            [
                Query(
                    ratio(
                        "pod",
                        rate("container_cpu_cfs_throttled_periods_total", _CONTAINER),
                        rate("container_cpu_cfs_periods_total", _CONTAINER),
                    ),
                    "{{pod}}",
                )
            ],
            "CPUThrottling.ratio",
        ),
        Panel(
            "Memory",
            "Working set of each pod: what the kernel cannot take back.",
            "bytes",
            [Query(summed("pod", selector(_WORKING_SET, _CONTAINER)), "{{pod}}")],
            stacked=True,
            width=12,
        ),
        Panel(
            "Memory, part of the limit",
            "At the limit the kernel ends the container.",
            "percentunit",
            [
                Query(
                    f"{summed('pod', selector(_WORKING_SET, _CONTAINER))} / on (pod) "
                    + summed("pod", selector(_LIMITS, _MEMORY)),
                    "{{pod}}",
                )
            ],
            "MemoryNearLimit.ratio",
            width=12,
        ),
    ],
)

KUBERNETES = Dashboard(
    "kubernetes",
    "auth-service / Kubernetes",
    "Replicas, restarts, the rotation job, CPU and memory of the pods; needs kube-state-metrics and cAdvisor.",
    [_WORKLOAD, _RESOURCES],
    "exporters",
)
