-- Lives of tokens, side by side: issued, introspected, rotated, revoked, asked about again; and what else comes along.
-- Arguments: requests a second (0: as many as are answered); the Authorization headers of three clients, whose tokens
-- are opaque, JWTs, and come with refresh tokens.
-- Each answer is judged by the request that its X-Request-Id names; `refused` of the result counts the wrong ones.
require "result"

local ffi = require "ffi"
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } moment;
  int clock_gettime(int clock, moment *now);
]]
local CLOCK_MONOTONIC = 1
local moment = ffi.new("moment")

local rate, clients
local waiting, asked, numbers = {}, {}, 0
local nextSlot = 0
wrong, firstWrong = 0, ""

local function milliseconds()
  ffi.C.clock_gettime(CLOCK_MONOTONIC, moment)
  return tonumber(moment.seconds) * 1e3 + tonumber(moment.nanoseconds) / 1e6
end

local function member(body, name)
  return string.match(body, '"' .. name .. '":"([^"]+)"')
end

-- Each step: path, form (or nil to GET) and what a right answer is, by status and body.
local steps = {}

function steps.issue(life)
  return "/oauth/token", "grant_type=client_credentials", function(status, body)
    life.token, life.refresh = member(body, "access_token"), member(body, "refresh_token")
    return status == 200 and life.token ~= nil
  end
end

function steps.rotate(life)
  return "/oauth/token", "grant_type=refresh_token&refresh_token=" .. life.refresh, function(status, body)
    life.used, life.token, life.refresh = life.refresh, member(body, "access_token"), member(body, "refresh_token")
    return status == 200 and life.refresh ~= nil
  end
end

function steps.reuse(life)
  return "/oauth/token", "grant_type=refresh_token&refresh_token=" .. life.used, function(status, body)
    return status == 400 and member(body, "error") == "invalid_grant"
  end
end

function steps.alive(life)
  return "/oauth/introspect", "token=" .. life.token, function(status, body)
    return status == 200 and string.find(body, '"active":true', 1, true) ~= nil
  end
end

function steps.dead(life)
  return "/oauth/introspect", "token=" .. life.token, function(status, body)
    return status == 200 and body == '{"active":false}'
  end
end

function steps.revoke(life)
  return "/oauth/revoke", "token=" .. (life.refresh or life.token), function(status) return status == 200 end
end

function steps.stranger()
  return "/oauth/introspect", "token=nothing-that-was-issued", function(status, body)
    return status == 200 and body == '{"active":false}'
  end
end

function steps.guess(life)
  life.authorization = "Basic c29hay1ndWVzczp3cm9uZw=="  -- soak-guess:wrong
  return "/oauth/introspect", "token=x", function(status) return status == 401 or status == 429 end
end

function steps.malformed()
  return "/oauth/token", "grant_type=&grant_type=x", function(status) return status == 400 end
end

function steps.keys()
  return "/jwks.json", nil, function(status, body) return status == 200 and string.find(body, '"keys"', 1, true) end
end

local courses = {
  { client = 1, "issue", "alive", "alive", "revoke", "dead" },
  { client = 1, "issue", "alive", "alive" },
  { client = 1, "issue", "alive" },
  { client = 2, "issue", "alive", "revoke", "dead" },
  { client = 2, "issue", "alive" },
  { client = 3, "issue", "alive", "rotate", "alive", "revoke", "dead" },
  { client = 3, "issue", "rotate", "rotate", "reuse", "dead" },
  { client = 3, "issue", "alive" },
  { client = 1, "stranger" },
  { client = 1, "malformed", "guess", "keys" },
}

function init(args)
  rate = tonumber(args[1])
  clients = { args[2], args[3], args[4] }
  math.randomseed(1)
  nextSlot = milliseconds()
  if rate > 0 then
    -- Every connection asks for its turn before each request, so that together they keep the rate.
    delay = function()
      local now = milliseconds()
      nextSlot = math.max(nextSlot + 1e3 / rate, now - 1e3)
      return math.max(0, math.floor(nextSlot - now))
    end
  end
end

function request()
  local life = table.remove(waiting)
  if life == nil then
    local course = courses[math.random(#courses)]
    life = { course = course, at = 0, authorization = clients[course.client] }
  end
  life.at = life.at + 1
  local path, form, judge = steps[life.course[life.at]](life)
  numbers = numbers + 1
  local id = "life-" .. numbers
  asked[id] = { life, judge }
  local headers = { Authorization = life.authorization, ["X-Request-Id"] = id }
  if form then headers["Content-Type"] = "application/x-www-form-urlencoded" end
  return wrk.format(form and "POST" or "GET", path, headers, form)
end

function response(status, headers, body)
  local id = headers["X-Request-Id"] or headers["x-request-id"]
  local known = id and asked[id]
  if not known then
    wrong, firstWrong = wrong + 1, "an answer to nobody: " .. status
    return
  end
  asked[id] = nil
  local life, judge = known[1], known[2]
  if not judge(status, body) then
    if wrong == 0 then firstWrong = life.course[life.at] .. ": " .. status .. " " .. string.sub(body, 1, 60) end
    wrong = wrong + 1
  elseif life.at < #life.course then
    waiting[#waiting + 1] = life
  end
end

local thread
function setup(one) thread = one end

local written = done
function done(summary, latency, requests)
  summary.errors.status = thread:get("wrong")
  if summary.errors.status > 0 then io.stderr:write("wrong: " .. thread:get("firstWrong") .. "\n") end
  written(summary, latency, requests)
end
