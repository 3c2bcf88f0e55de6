-- Introspects the tokens of a file, one a line and all as long, each as likely as any other; a million fit into memory.
-- Arguments: authorization, file, milliseconds that each connection waits between two requests (0: none).
require "result"

local tokens = {}
local head, tail
local pause = 0

function init(args)
  local headers = { Authorization = args[1], ["Content-Type"] = "application/x-www-form-urlencoded" }
  for token in io.lines(args[2]) do
    tokens[#tokens + 1] = token
  end
  local whole = wrk.format("POST", nil, headers, "token=" .. tokens[1])
  local at = string.find(whole, tokens[1], 1, true)
  head, tail = string.sub(whole, 1, at - 1), string.sub(whole, at + #tokens[1])
  pause = tonumber(args[3])
  if pause > 0 then delay = function() return pause end end
  math.randomseed(1)
end

function request()
  return head .. tokens[math.random(#tokens)] .. tail
end
