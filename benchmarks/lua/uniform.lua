-- Introspects the tokens of a file, one a line, each as likely as any other. Arguments: authorization, file.
-- The requests are made before the run, so that the load's core has nothing to do but to send them.
require "result"

local requests = {}

function init(args)
  local headers = { Authorization = args[1], ["Content-Type"] = "application/x-www-form-urlencoded" }
  for token in io.lines(args[2]) do
    requests[#requests + 1] = wrk.format("POST", nil, headers, "token=" .. token)
  end
  math.randomseed(1)
end

function request()
  return requests[math.random(#requests)]
end
