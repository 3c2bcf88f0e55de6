"""What the service needs of Redis, as the ACL rule that allows it and nothing else."""

from app.storage.redis.keyspace import Keyspace

COMMANDS = (
    *("get", "mget", "set", "getdel", "del", "exists", "expire", "ttl"),
    *("hget", "hset", "hdel", "hlen", "hgetall", "hincrby"),
    *("zadd", "zrange", "zremrangebyscore"),
    *("eval", "evalsha", "time"),
    *("publish", "subscribe"),
    *("role", "info", "select", "wait"),
)
"""Every command that is sent, by itself or inside a script. AUTH needs no permission."""

CLUSTER_COMMANDS = ("cluster|slots", "asking")
"""Needed beside them in a Redis Cluster."""


def acl_line(username: str, key_prefix: str, *, cluster: bool = False) -> str:
    """The line for Redis' ACL file (or behind ``ACL SETUSER``'s user name) that lets the service in.

    ``<PASSWORD>`` stands where the password goes. Raises ValueError for a prefix that cannot be used.
    """
    names = Keyspace(key_prefix).opening.decode() + "*"
    commands = COMMANDS + (CLUSTER_COMMANDS if cluster else ())
    allowed = " ".join(f"+{command}" for command in commands)
    return f"user {username} on ><PASSWORD> resetkeys ~{names} resetchannels &{names} -@all {allowed}"
