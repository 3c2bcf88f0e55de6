-- The same form over and over, each time from another address, as a proxy would tell it.
-- Arguments: authorization, body, number of the first address.
require "result"

local head, tail
local number

function init(args)
  local headers = { ["Content-Type"] = "application/x-www-form-urlencoded", ["X-Forwarded-For"] = "ADDRESS" }
  if args[1] ~= "" then headers["Authorization"] = args[1] end
  local whole = wrk.format("POST", nil, headers, args[2])
  local at = string.find(whole, "ADDRESS", 1, true)
  head, tail = string.sub(whole, 1, at - 1), string.sub(whole, at + 7)
  number = tonumber(args[3])
end

function request()
  number = number + 1
  local a, b, c = math.floor(number / 65536) % 256, math.floor(number / 256) % 256, number % 256
  return head .. "10." .. a .. "." .. b .. "." .. c .. tail
end
