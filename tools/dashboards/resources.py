"""Resources, by Gregg's USE method: for each how much is used, how much waits, and what was lost."""

from tools.dashboards.model import Dashboard, Panel, Query, Row
from tools.dashboards.queries import increase, quantiles, rate, rates, selector, summed

_RESIDENT = selector("process_resident_memory_bytes")
_LIMIT = selector("process_memory_limit_bytes")
_CORES = selector("process_cpu_limit_cores")
_CLOCK = selector("process_clock_seconds")

_UTILISATION = Row(
    "Utilisation",
    [
        Panel(
            "CPU of the event loop",
            "Part of one core, or of the limit below it: one loop can use no more.",
            "percentunit",
            [Query(f"{rate('event_loop_cpu_seconds_total')} / clamp_max({_CORES}, 1)", "{{instance}}")],
            "HighCPUUsage.loopRatio",
        ),
        Panel(
            "CPU of the process",
            "Part of the limit, signing threads included.",
            "percentunit",
            [Query(f"{rate('process_cpu_seconds_total')} / {_CORES}", "{{instance}}")],
            "HighCPUUsage.processRatio",
        ),
        Panel(
            "Memory, part of the limit",
            "At the limit the kernel ends the process.",
            "percentunit",
            [Query(f"{_RESIDENT} / {_LIMIT}", "{{instance}}")],
            "MemoryNearLimit.ratio",
        ),
        Panel(
            "Memory",
            "Resident memory of each process.",
            "bytes",
            [Query(_RESIDENT, "{{instance}}")],
        ),
        Panel(
            "Memory in six hours",
            "Part of the limit that the trend of half an hour comes to; a leak is a trend that does not end.",
            "percentunit",
            [Query(f"clamp_min(predict_linear({_RESIDENT}[30m], 6 * 3600) / {_LIMIT}, 0)", "{{instance}}")],
            "MemoryLeak.ratio",
        ),
        Panel(
            "Open files",
            "Part of the file descriptors that the process may open; each connection takes one.",
            "percentunit",
            [Query(f"{selector('process_open_fds')} / {selector('process_max_fds')}", "{{instance}}")],
        ),
    ],
)

_SATURATION = Row(
    "Saturation",
    [
        Panel(
            "Event loop lag, p99",
            "99 of 100 probes of the event loop are late by less: every request waits as long.",
            "s",
            quantiles("event_loop_lag_seconds", "instance", of=(0.99,)),
            "EventLoopBlocked.seconds",
        ),
        Panel(
            "Garbage collections",
            "Collections a second by generation; those of generation 2 stop everything.",
            "ops",
            [rates("python_gc_collections_total", "generation")],
        ),
        Panel(
            "Collected objects",
            "Objects a second that the garbage collector freed, by generation.",
            "ops",
            [rates("python_gc_objects_collected_total", "generation")],
        ),
    ],
)

_ERRORS = Row(
    "Errors",
    [
        Panel(
            "Restarts",
            "Starts in a quarter of an hour, where instances keep their address.",
            "short",
            [Query(f"changes({selector('process_start_time_seconds')}[15m])", "{{instance}}")],
            "InstanceRestarting.restarts",
        ),
        Panel(
            "Clock",
            "Difference to the clock of Prometheus; keys switch by the clock.",
            "s",
            [Query(f"abs({_CLOCK} - timestamp({_CLOCK}))", "{{instance}}")],
            "ClockSkew.seconds",
        ),
        Panel(
            "Lost spans",
            "Spans in ten minutes that the trace collector did not get.",
            "short",
            [Query(summed("instance", increase("otlp_dropped_total", "10m")), "{{instance}}")],
            "TracesDropped.spans",
        ),
        Panel(
            "Lost audit events",
            "Audit events in five minutes that could not be written: any is a fault.",
            "short",
            [Query(summed("instance", increase("audit_events_dropped_total", "5m")), "{{instance}}")],
        ),
        Panel(
            "Uncollectable objects",
            "Objects a second that the garbage collector could not free, by generation.",
            "ops",
            [rates("python_gc_objects_uncollectable_total", "generation")],
        ),
        Panel(
            "Versions",
            "Instances by version; two during a rollout.",
            "short",
            [Query(f"count by (version) ({selector('build_info')})", "{{version}}")],
            stacked=True,
        ),
    ],
)

RESOURCES = Dashboard(
    "resources",
    "auth-service / Resources",
    "CPU, memory, file descriptors and the event loop of each instance: utilisation, saturation, errors.",
    [_UTILISATION, _SATURATION, _ERRORS],
)
