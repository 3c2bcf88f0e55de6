"""Sentinels over servers that a test owns, on the ports that are the tests' own."""

from loadtest.sentinels import MASTER_NAME, SentinelGroup
from tests.programs.ports import free_port
from tests.programs.redis_process import RedisProcess

__all__ = ["MASTER_NAME", "Sentinels"]


class Sentinels(SentinelGroup[RedisProcess]):
    """Three sentinels over a master and two replicas."""

    free_port = staticmethod(free_port)
