-- The same request over and over, but for its request id, as behind a proxy that gives each request one of its own.
-- Arguments: authorization, body. The ids are made before the run, so that the load's core has only to send them.
require "result"

local requests, at = {}, 0

function init(args)
  for index = 1, 20000 do
    local headers = {
      Authorization = args[1],
      ["Content-Type"] = "application/x-www-form-urlencoded",
      ["X-Request-Id"] = string.format("%032x", index),
    }
    requests[index] = wrk.format("POST", nil, headers, args[2])
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
