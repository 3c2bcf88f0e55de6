-- Introspects the tokens of a file as wide.lua does, with exponential pauses as paced.lua makes them. Arguments:
-- authorization, file, mean milliseconds between an answer and the connection's next request.
require "wide"

local init_wide, mean = init, 0

function init(args)
  mean = tonumber(args[3])
  args[3] = "0"  -- no pause of wide.lua's own
  init_wide(args)
end

function delay()
  return math.floor(-mean * math.log(1 - math.random()) + math.random())
end
