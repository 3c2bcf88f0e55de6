-- Introspects the tokens of a file, one a line and all as long, each as likely as any other, with exponential pauses as
-- paced.lua makes them. Arguments: authorization, file, mean milliseconds between an answer and the connection's next
-- request.
require "result"

local tokens = {}
local head, tail
local mean = 0

function init(args)
  local headers = { Authorization = args[1], ["Content-Type"] = "application/x-www-form-urlencoded" }
  for token in io.lines(args[2]) do
    tokens[#tokens + 1] = token
  end
  local whole = wrk.format("POST", nil, headers, "token=" .. tokens[1])
  local at = string.find(whole, tokens[1], 1, true)
  head, tail = string.sub(whole, 1, at - 1), string.sub(whole, at + #tokens[1])
  mean = tonumber(args[3])
  math.randomseed(1)
end

function request()
  return head .. tokens[math.random(#tokens)] .. tail
end

function delay()
  return math.floor(-mean * math.log(1 - math.random()) + math.random())
end
