-- Sends the requests of a folder in turn and prints the figures as one JSON line.
-- Arguments: folder, number of requests, heads ("repeated" or "ingress"), seed of the random numbers.
-- With "ingress", each request gets lines of its own behind the request line, as nginx or Envoy would pass them on.
-- Forms get a new boundary each time, as clients draw one: the placeholder of uploads.py is replaced.
local requests, forms, count, following, drawn = {}, {}, 0, 0, 0
local placeholder = "fewlabel%-boundary%-%x%x%x%x%x%x%x%x"

local ingress, line, rests, templates = false, "", {}, {}
local random, format = math.random, string.format
local agents = {
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.%d.0 Safari/537.36",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.%d Safari/605.1.15",
  "Mozilla/5.0 (X11; Linux x86_64; rv:144.%d) Gecko/20100101 Firefox/144.0",
  "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.%d.0 Mobile Safari/537.36",
  "Dalvik/2.1.0 (Linux; U; Android 15; Build/AP4A.%d)",
  "okhttp/4.12.%d",
  "python-requests/2.32.%d",
  "Go-http-client/2.0 (build %d)",
}
for number, agent in ipairs(agents) do
  templates[number] = "X-Request-ID: %08x%08x%08x%08x\r\n"
    .. "traceparent: 00-%08x%08x%08x%08x-%08x%08x-01\r\n"
    .. "X-Forwarded-For: %d.%d.%d.%d\r\n"
    .. "X-Forwarded-Proto: https\r\n"
    .. "User-Agent: " .. agent .. "\r\n"
    .. "Cookie: session=%08x%08x%08x%08x; theme=dark\r\n"
end

function init(args)
  count = tonumber(args[2])
  ingress = args[3] == "ingress"
  math.randomseed(tonumber(args[4]))
  for number = 0, count - 1 do
    local file = assert(io.open(args[1] .. "/" .. number, "rb"))
    requests[number] = file:read("*a")
    forms[number] = requests[number]:find(placeholder) ~= nil
    line, rests[number] = requests[number]:match("^(.-\r\n)(.*)$")
    file:close()
  end
end

local function word()
  return random(0, 4294967295)
end

-- Written anew for each request, so that none comes twice however long a measurement lasts. This takes 3 µs more of
-- wrk's core than a request that is sent as it is; 150,000 requests prepared in advance take 1 µs more, but 1 s to write
-- and 120 MB each time wrk starts.
local function ingress_lines()
  return format(
    templates[random(#templates)],
    word(), word(), word(), word(),
    word(), word(), word(), word(), word(), word(),
    random(1, 223), random(0, 255), random(0, 255), random(1, 254),
    random(1, 9999),
    word(), word(), word(), word()
  )
end

function request()
  following = (following + 1) % count
  local text = requests[following]
  if ingress then
    text = line .. ingress_lines() .. rests[following]
  end
  if not forms[following] then
    return text
  end
  drawn = drawn + 1
  return (text:gsub(placeholder, format("fewlabel-boundary-%08x", drawn)))
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(format(
    '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f, '
      .. '"bad_status": %d, "socket_errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
