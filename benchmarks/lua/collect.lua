-- Asks for tokens and appends them to a file, one a line, until it has added so many.
-- Arguments: authorization, file, how many.
require "result"

local file, wanted, got = nil, 0, 0

function init(args)
  file, wanted = io.open(args[2], "a"), tonumber(args[3])
  file:setvbuf("line")  -- nothing closes it when the time is up
  wrk.method, wrk.body = "POST", "grant_type=client_credentials"
  wrk.headers["Authorization"] = args[1]
  wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
end

function response(status, headers, body)
  local token = string.match(body, '"access_token":"([^"]+)"')
  if status ~= 200 or token == nil or got == wanted then return end
  file:write(token, "\n")
  got = got + 1
  if got == wanted then wrk.thread:stop() end
end
