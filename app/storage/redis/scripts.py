"""The steps that Redis must take as one, in Lua.

Rules:
- All keys of a call share one ``{tag}``. The keys of a family's members are made inside the script that ends the
  family, from the members it reads there: reading them first and naming them would leave a gap between the two.
- A family's mark is looked at before anything is written for the family: revocation wins over whatever races it.
- Scripts never shorten the life of a mark or of a set of members.
- What revokes begins with a command that a full Redis admits (DEL, EXPIRE); Redis then lets the script finish. What
  issues begins with one that it refuses: nothing of it is written.
"""

import hashlib

import msgspec

from app.storage.codec import REFRESH_USED_AT_FIELD


class Script(msgspec.Struct, frozen=True):
    """A script and the digest that Redis calls it by."""

    source: str
    digest: str


def _script(source: str) -> Script:
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


# Writes tokens KEYS[first..] with four arguments each from ARGV[at]: record, life in seconds, name as a member, expiry.
_REMEMBER = """
local function remember(members, first, at)
  local life = redis.call('TTL', members)
  for k = first, #KEYS do
    redis.call('SET', KEYS[k], ARGV[at], 'EX', ARGV[at + 1])
    redis.call('ZADD', members, ARGV[at + 3], ARGV[at + 2])
    life = math.max(life, tonumber(ARGV[at + 1]))
    at = at + 4
  end
  redis.call('ZREMRANGEBYSCORE', members, '-inf', ARGV[1])
  redis.call('EXPIRE', members, life)
end
"""

# Remembers new tokens of a family.
# KEYS: mark, members, tokens…; ARGV: members that ended by then are forgotten, then four for each token.
# Returns 1, or 0 where the family was revoked and nothing was written.
SAVE_FAMILY = _script(
    _REMEMBER
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
remember(KEYS[2], 3, 2)
return 1
"""
)

# Brings back one token of a family that was kept elsewhere meanwhile. A used refresh token replaces an unused one.
# KEYS: mark, members, token; ARGV: members that ended by then are forgotten, 1 to replace, four for the token.
RESTORE = _script(
    _REMEMBER
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if ARGV[2] == '0' and redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
remember(KEYS[2], 3, 3)
return 1
"""
)

GONE, ALREADY_USED, ROTATED = 0, 1, 2
"""What ROTATE returns."""

# Uses up a refresh token and remembers its successors.
# KEYS: mark, members, presented token, new tokens…; ARGV: as above, the record of the used token, four for each token.
ROTATE = _script(
    _REMEMBER
    + f"""
local record = redis.call('GET', KEYS[3])
if not record or redis.call('EXISTS', KEYS[1]) == 1 then return {GONE} end
if cmsgpack.unpack(record)[{REFRESH_USED_AT_FIELD + 1}] then return {ALREADY_USED} end
redis.call('SET', KEYS[3], ARGV[2], 'KEEPTTL')
remember(KEYS[2], 4, 3)
return {ROTATED}
"""
)

# Ends a family. KEYS: mark, members; ARGV: life of the mark in seconds, what the tokens' names begin with.
# Returns the records of the access tokens that were alive.
REVOKE_FAMILY = _script(
    """
local ended = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local record = redis.call('GETDEL', ARGV[2] .. member)
  if record and string.sub(member, 1, 1) == 'a' then ended[#ended + 1] = record end
end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[1], 1, 'EX', math.max(tonumber(ARGV[1]), redis.call('TTL', KEYS[1])))
return ended
"""
)

# When this store was first used: KEYS[1], proposed as ARGV[1] and kept for ARGV[2] seconds from the last contact.
BORN = _script(
    """
local born = redis.call('GET', KEYS[1]) or ARGV[1]
redis.call('SET', KEYS[1], born, 'EX', ARGV[2])
return born
"""
)

# Marks KEYS[1] for ARGV[1] seconds, or longer if it is marked for longer.
MARK = _script(
    """
local life = math.max(tonumber(ARGV[1]), redis.call('TTL', KEYS[1]))
if redis.call('EXPIRE', KEYS[1], life) == 0 then redis.call('SET', KEYS[1], 1, 'EX', life) end
return 1
"""
)

# Adds to fields of the hash KEYS[1]; ARGV: life of the hash in seconds, then field and number in turn.
COUNT = _script(
    """
local life = math.max(tonumber(ARGV[1]), redis.call('TTL', KEYS[1]))
for a = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[a], ARGV[a + 1]) end
redis.call('EXPIRE', KEYS[1], life)
return 1
"""
)
