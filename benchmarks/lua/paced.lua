-- The same request at a mean rate, each connection's pauses exponential: together nearly the arrivals of many clients
-- that know nothing of each other. Arguments: method, authorization, body, mean milliseconds between an answer and the
-- connection's next request.
require "result"

local mean = 0
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("seed", threads)  -- alike, all threads would pause alike
end

function init(args)
  wrk.method, wrk.body = args[1], args[3]
  wrk.headers["Authorization"] = args[2]
  wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
  mean = tonumber(args[4])
  math.randomseed(seed)
end

function delay()
  -- wrk waits whole milliseconds; which of the two is left to chance, so that the mean is kept.
  return math.floor(-mean * math.log(1 - math.random()) + math.random())
end
