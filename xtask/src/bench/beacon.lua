-- wrk script: each request is a beacon of one pageview with an id of its own, from an address in a company's network.
local thread_number = 0
function setup(thread)
  thread:set("number", thread_number)
  thread_number = thread_number + 1
end

local sent = 0
local now = os.time() * 1000
local headers = {
  ["Content-Type"] = "text/plain;charset=UTF-8",
  ["User-Agent"] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  ["Origin"] = "http://localhost",
}

function init(args)
  run = tonumber(args[1]) or 0
end

function request()
  sent = sent + 1
  local at = now + sent % 60000
  headers["X-Forwarded-For"] = string.format("17.%d.%d.%d", 1 + sent % 200, math.floor(sent / 200) % 250, 1 + sent % 250)
  local body = string.format(
    '{"v":1,"site":"bench","consent":"granted","sent":%d,"client":"LF1.1.%08x%08x.%d","events":[{"id":"%08x-%04x-4000-8000-%012x","at":%d,"type":"pageview","url":"http://localhost/products/%d?utm_source=newsletter","referrer":"https://www.google.com/","title":"Product %d of the bench"}]}',
    at, number, math.floor(sent / 4), now, run, number, sent, at, sent % 500, sent % 500)
  return wrk.format("POST", "/lfa", headers, body)
end
