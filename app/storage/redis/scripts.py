"""The steps that Redis must take as one, in Lua.

Rules:
- All keys of a call share one ``{tag}``. The keys of a family's members are made inside the script that ends the
  family, from the members it reads there: reading them first and naming them would leave a gap between the two.
- What ends something publishes its name in the same step; keys and channels bear the same prefix.
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

# Brings back a refresh token that was kept elsewhere meanwhile. A used one replaces an unused one.
# KEYS: mark, members, token; ARGV: members that ended by then are forgotten, 1 to replace, four for the token.
RESTORE_REFRESH = _script(
    _REMEMBER
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if ARGV[2] == '0' and redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
remember(KEYS[2], 3, 3)
return 1
"""
)

# Brings back an access token that was kept elsewhere meanwhile, once: whoever did not hear that it arrived says it
# again, and by then it may have been revoked, which leaves nothing behind.
# KEYS: mark that it was brought back, token; ARGV: record, life in seconds.
RESTORE_ACCESS = _script(
    """
if not redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[2]) then return 0 end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'EX', ARGV[2]) then return 1 end
return 0
"""
)

# The same for one of a family.
# KEYS: mark of the family, members, mark that it was brought back, token; ARGV: as for SAVE_FAMILY.
RESTORE_ACCESS_OF_FAMILY = _script(
    _REMEMBER
    + """
if redis.call('EXISTS', KEYS[1]) == 1 or redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
if not redis.call('SET', KEYS[3], 1, 'NX', 'EX', ARGV[3]) then return 0 end
remember(KEYS[2], 4, 2)
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

# A name as messages carry it: its length in two bytes, then itself.
_NAMED = """
local function named(name) return string.char(math.floor(#name / 256), #name % 256) .. name end
"""

# Ends an access token. KEYS: token; ARGV: channel. Returns its record, or nothing.
REVOKE_ACCESS = _script(
    _NAMED
    + """
local record = redis.call('GETDEL', KEYS[1])
redis.call('PUBLISH', ARGV[1], named(KEYS[1]))
return record
"""
)

# Ends a family. KEYS: mark, members; ARGV: life of the mark in seconds, channel, what the tokens' names begin with.
# The mark outlives all members that are read here: RESTORE_… may bring more of them for as long as the family lives.
# Returns the names and records of the access tokens that were alive, in turn.
REVOKE_FAMILY = _script(
    _NAMED
    + """
local ended = {}
local message = named(KEYS[1])
for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local name = ARGV[3] .. member
  local record = redis.call('GETDEL', name)
  if string.sub(member, 1, 1) == 'a' then
    message = message .. named(name)
    if record then
      ended[#ended + 1] = name
      ended[#ended + 1] = record
    end
  end
end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[1], 1, 'EX', math.max(tonumber(ARGV[1]), redis.call('TTL', KEYS[1])))
redis.call('PUBLISH', ARGV[2], message)
return ended
"""
)

# Marks KEYS[1] for ARGV[1] seconds, or longer if it is marked for longer, and says so on the channel ARGV[2].
MARK = _script(
    _NAMED
    + """
local life = math.max(tonumber(ARGV[1]), redis.call('TTL', KEYS[1]))
if redis.call('EXPIRE', KEYS[1], life) == 0 then redis.call('SET', KEYS[1], 1, 'EX', life) end
redis.call('PUBLISH', ARGV[2], named(KEYS[1]))
return 1
"""
)

# Puts an epoch in force. KEYS: hash, its version; ARGV: field, before, until, now, life beyond until, channel, bound.
# Returns 1, or 0 where there is no room. The version is Redis' time: it does not come again, even after the hash ended.
EPOCH = _script(
    """
redis.call('HDEL', KEYS[1], '')
local before, till, now = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then
  local its_before, its_till = string.match(known, '(%d+) (%d+)')
  before, till = math.max(before, tonumber(its_before)), math.max(till, tonumber(its_till))
elseif redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[7]) then
  local all = redis.call('HGETALL', KEYS[1])
  for a = 1, #all, 2 do
    if tonumber(string.match(all[a + 1], ' (%d+)')) <= now then redis.call('HDEL', KEYS[1], all[a]) end
  end
  if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[7]) then return 0 end
end
local instants = string.format('%d %d', before, till)
redis.call('HSET', KEYS[1], ARGV[1], instants)
local life = math.max(till - now + tonumber(ARGV[5]), redis.call('TTL', KEYS[1]))
local known_before = redis.call('GET', KEYS[2]) or '0'
local time = redis.call('TIME')
local version = time[1] .. string.format('%06d', time[2])
redis.call('EXPIRE', KEYS[1], life)
redis.call('SET', KEYS[2], version, 'EX', life)
redis.call('PUBLISH', ARGV[6], known_before .. ' ' .. version .. ' ' .. instants .. ' ' .. ARGV[1])
return 1
"""
)

# Publishes ARGV[1] to the channel that is named like KEYS[1]. The DEL of what never exists is a write all the same: a
# read-only replica refuses it, and a full server does not.
BEAT = _script(
    """
redis.call('DEL', KEYS[1])
return redis.call('PUBLISH', KEYS[1], ARGV[1])
"""
)

# Takes up to ARGV[1] requests from a budget of ARGV[2] microseconds a request: how many, and microseconds until one
# more. KEYS[1] is the instant at which the bucket of one minute is empty again, by Redis' own clock.
BORROW = _script(
    """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = tonumber(ARGV[2])
local empty = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local free = math.floor((60000000 + now - empty + 0.1 * interval) / interval)
local granted = math.max(0, math.min(tonumber(ARGV[1]), free))
if granted > 0 then
  empty = empty + granted * interval
  redis.call('SET', KEYS[1], string.format('%.0f', empty), 'PX', math.max(1, math.ceil((empty - now) / 1000)))
end
return {granted, math.max(0, math.ceil(empty + interval - now - 60000000))}
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

# Adds to fields of the hash KEYS[1]; ARGV: life of the hash in seconds, then field and number in turn.
COUNT = _script(
    """
local life = math.max(tonumber(ARGV[1]), redis.call('TTL', KEYS[1]))
for a = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[a], ARGV[a + 1]) end
redis.call('EXPIRE', KEYS[1], life)
return 1
"""
)
