"""Stores: Redis as the service sees it, and the read cache in front of it."""

from tools.dashboards.model import Dashboard, Panel, Query, Row
from tools.dashboards.queries import increase, quantile, quantiles, rate, rates, ratio, selector, summed

_DURATION = "store_operation_duration_seconds"
_LOOKUPS = "token_cache_requests_total"
_CONNECTED = selector("store_connections", 'state="connected"')

_OPERATIONS = Row(
    "Operations of the store",
    [
        Panel(
            "Operations",
            "Store operations a second, by what is done.",
            "ops",
            [rates(f"{_DURATION}_count", "operation")],
            stacked=True,
        ),
        Panel(
            "Duration",
            "How long store operations take, waiting for a place in the batch included.",
            "s",
            quantiles(_DURATION),
            "StoreSlow.seconds",
        ),
        Panel(
            "Duration by operation, p99",
            "99 of 100 operations of each kind take less.",
            "s",
            [Query(quantile(0.99, _DURATION, "operation"), "{{operation}}")],
            "StoreSlow.seconds",
        ),
        Panel(
            "Error ratio",
            "Failures of single operations and of connections, as part of the operations.",
            "percentunit",
            [Query(ratio("backend", rate("store_errors_total"), rate(f"{_DURATION}_count")), "{{backend}}")],
            "StoreErrors.ratio",
        ),
        Panel(
            "Errors by kind",
            "What the store did not do, and connections that failed, a second.",
            "ops",
            [rates("store_errors_total", "kind")],
        ),
        Panel(
            "Batch size",
            "Operations that are sent at once: those of one turn of the event loop.",
            "short",
            quantiles("store_batch_size", of=(0.5, 0.95)),
        ),
    ],
)

_REDIS = Row(
    "Redis",
    [
        Panel(
            "Connections",
            "Connections to the store by state.",
            "short",
            [Query(summed("instance, state", selector("store_connections")), "{{instance}} {{state}}")],
        ),
        Panel(
            "Changes of connections",
            "How often the number of connections changed in ten minutes; a failover is two or three.",
            "short",
            [
                Query(
                    summed("instance", f"changes({_CONNECTED}[10m])"),
                    "{{instance}}",
                )
            ],
            "StoreFlapping.changes",
        ),
        Panel(
            "Memory",
            "What Redis uses, and the most that it may (maxmemory; 0 is no limit).",
            "bytes",
            [
                Query(f"max({selector('store_memory_used_bytes')})", "used"),
                Query(f"max({selector('store_memory_max_bytes')})", "limit"),
            ],
        ),
        Panel(
            "Memory, part of the limit",
            "A full Redis refuses writes. Empty where Redis has no limit of its own.",
            "percentunit",
            [
                Query(
                    f"max by (job) ({selector('store_memory_used_bytes')})"
                    f" / (max by (job) ({selector('store_memory_max_bytes')}) > 0)",
                    "{{job}}",
                )
            ],
            "StoreMemoryFull.ratio",
        ),
        Panel(
            "Evicted keys",
            "Keys that Redis dropped for want of memory, in ten minutes: any is a fault.",
            "short",
            [Query(f"max by (job) ({increase('store_evicted_keys_total', '10m')})", "{{job}}")],
        ),
        Panel(
            "Degraded",
            "1 while memory stands in for a Redis that is away; and 1 where a Redis that evicts is accepted.",
            "short",
            [
                Query(f"max by (instance) ({selector('store_degraded')})", "{{instance}} degraded"),
                Query(f"max by (job) ({selector('store_eviction_allowed')})", "eviction allowed"),
            ],
        ),
    ],
)

_CACHE = Row(
    "Read cache and revocations",
    [
        Panel(
            "Lookups",
            "Lookups in the read cache a second, by result.",
            "ops",
            [rates(_LOOKUPS, "result")],
            stacked=True,
        ),
        Panel(
            "Hits",
            "Part of the lookups that were answered from memory.",
            "percentunit",
            [Query(ratio("instance", rate(_LOOKUPS, 'result="hit"'), rate(_LOOKUPS)), "{{instance}}")],
        ),
        Panel(
            "Bypassed",
            "Part of the lookups that the cache may not answer, because it has no lease.",
            "percentunit",
            [Query(ratio("instance", rate(_LOOKUPS, 'result="bypass"'), rate(_LOOKUPS)), "{{instance}}")],
            "CacheLeaseLost.ratio",
        ),
        Panel(
            "Cached tokens",
            "Answers of Redis that are remembered.",
            "short",
            [Query(f"max by (instance) ({selector('token_cache_entries')})", "{{instance}}")],
            width=6,
        ),
        Panel(
            "Lease",
            "1 while what is cached may be believed: what others revoke is heard.",
            "short",
            [Query(f"min by (instance) ({selector('token_cache_lease_valid')})", "{{instance}}")],
            width=6,
        ),
        Panel(
            "Revocation reaches replicas",
            "From publishing a revocation to hearing it oneself.",
            "s",
            quantiles("revocation_propagation_seconds"),
            "RevocationPropagationSlow.seconds",
            width=6,
        ),
        Panel(
            "Limit that replicas share",
            "1 while Redis cannot be asked for it, and each replica counts for itself (RATE_LIMIT_BACKEND=redis).",
            "short",
            [Query(f"max by (instance) ({selector('rate_limit_fallback')})", "{{instance}}")],
            width=6,
        ),
    ],
)

STORES = Dashboard(
    "stores",
    "auth-service / Stores and cache",
    "Redis as the service sees it: operations, connections, memory; the read cache, its lease, and revocations.",
    [_OPERATIONS, _REDIS, _CACHE],
)
