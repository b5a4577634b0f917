-- wrk script: each request is a beacon of one pageview with an id of its own. A visitor has four pageviews and one of 5,000
-- companies, small numbers more often. Arguments: a number for this run, beacons a second (0 = as many as are answered).
local ffi = require("ffi")
ffi.cdef[[
  typedef struct { long seconds; long nanoseconds; } firmsight_time;
  int clock_gettime(int clock, firmsight_time *time);
]]
local REALTIME = 0
local MONOTONIC = 1
local COMPANIES = 5000
local PAGEVIEWS = 4

local time = ffi.new("firmsight_time")
local function milliseconds(clock)
  ffi.C.clock_gettime(clock, time)
  return tonumber(time.seconds) * 1000 + tonumber(time.nanoseconds) / 1000000
end

local sent, due = 0, 0
local now = math.floor(milliseconds(REALTIME))
local began
local headers = {
  ["Content-Type"] = "text/plain;charset=UTF-8",
  ["User-Agent"] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  ["Origin"] = "http://localhost",
}

function init(arguments)
  run = tonumber(arguments[1]) or 0
  rate = tonumber(arguments[2]) or 0
  if rate == 0 then delay = nil end
end

-- wrk asks before each request how many milliseconds to wait with it.
function delay()
  local at = milliseconds(MONOTONIC)
  began = began or at
  due = due + 1
  return math.max(0, math.floor(began + due * 1000 / rate - at))
end

function request()
  sent = sent + 1
  local visitor = math.floor(sent / PAGEVIEWS)
  local spread = (visitor * 7919 % 100003) / 100003
  local company = math.floor(spread * spread * spread * COMPANIES)
  local at = math.floor(milliseconds(REALTIME))
  headers["X-Forwarded-For"] = string.format("11.%d.%d.%d", math.floor(company / 250), company % 250, 1 + visitor % 250)
  local body = string.format(
    '{"v":1,"site":"bench","consent":"granted","sent":%d,"client":"LF1.1.%08x%08x.%d","events":[{"id":"%08x-%04x-4000-8000-%012x","at":%d,"type":"pageview","url":"http://localhost/products/%d?utm_source=newsletter","referrer":"https://www.google.com/","title":"Product %d of the bench"}]}',
    at, run, visitor, now, run, 0, sent, at, sent % 500, sent % 500)
  return wrk.format("POST", "/lfa", headers, body)
end
