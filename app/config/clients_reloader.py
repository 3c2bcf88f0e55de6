"""Keeping the registered clients current while the service runs.

Rules:
- What cannot be used changes nothing: the clients that work are kept, every mistake is logged with its line, and the
  failure is counted.
- Files are read and parsed in a thread: requests go on meanwhile.
"""

import asyncio
import logging
from collections.abc import Callable

from app.cancellation import end_tasks
from app.config.clients import ClientChanges, ClientRegistry, ClientsSource, LoadedClients
from app.config.problems import ConfigurationError
from app.watching import Watcher

_LISTED = 20
"""Ids that a log line names; more are counted."""


class ClientsReloader:
    """Loads the clients at start and again whenever a file that they come from changes.

    Args:
        source: Where they come from.
        registry: What is kept current.
        unix_now: The time in Unix seconds.
        on_failure: Called once for each failed reload, for ``config_reload_failures_total{source="clients"}``.
        interval_seconds: The time between two looks at the files.
        logger: Told of everything.
    """

    def __init__(
        self,
        source: ClientsSource,
        registry: ClientRegistry,
        *,
        unix_now: Callable[[], float],
        on_failure: Callable[[], None],
        on_change: Callable[[str], None] = lambda _change: None,
        interval_seconds: float = 1.0,
        logger: logging.Logger | None = None,
    ) -> None:
        self._source = source
        self._registry = registry
        self._unix_now = unix_now
        self._on_failure = on_failure
        self._on_change = on_change
        self._logger = logger if logger is not None else logging.getLogger(__name__)
        # Before the first load, so that no change falls between the two.
        self._watcher = Watcher(lambda: self._source.files, self.reload, interval_seconds, logger=self._logger)
        self._warned: tuple[str, ...] = ()
        self._task: asyncio.Task[None] | None = None

    def load(self) -> LoadedClients:
        """Load for the first time.

        Raises:
            ConfigurationError: with every mistake; the registry is left alone.
        """
        loaded = self._source.load(self._unix_now())
        self._registry.replace(loaded.clients)
        self._warn(loaded.warnings)
        return loaded

    async def start(self) -> None:
        """Begin to watch, where there is anything to be watched."""
        if self._task is None and self._source.files:
            self._task = asyncio.create_task(self._watcher.run(), name="clients-reloader")

    async def stop(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])
            self._task = None

    async def reload(self) -> ClientChanges | None:
        """Load again now. Returns what changed, or None after a failure, which leaves the clients as they were."""
        try:
            loaded = await asyncio.to_thread(self._source.load, self._unix_now())
        except ConfigurationError as error:
            self._on_failure()
            for problem in error.problems:
                self._logger.error("clients not reloaded: %s", problem)  # noqa: TRY400 - its traceback says nothing
            return None
        except Exception:
            self._on_failure()
            self._logger.exception("clients not reloaded")
            return None
        changes = self._registry.replace(loaded.clients)
        self._warn(loaded.warnings)
        if changes:
            change = (
                f"clients reloaded: added {_listed(changes.added)}, changed {_listed(changes.changed)}, "
                f"removed {_listed(changes.removed)}"
            )
            self._logger.info("%s", change)
            self._on_change(change)
        return changes

    def _warn(self, warnings: tuple[str, ...]) -> None:
        """Log what was not logged at the load before."""
        for warning in warnings:
            if warning not in self._warned:
                self._logger.warning("%s", warning)
        self._warned = warnings


def _listed(ids: tuple[str, ...]) -> str:
    if not ids:
        return "none"
    more = f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else ""
    return ", ".join(ids[:_LISTED]) + more
