-- Sends the requests of a folder in turn (arguments: folder, number of requests) and prints the figures as one JSON line.
-- Forms get a new boundary each time, as clients draw one: the placeholder of uploads.py is replaced.
local requests, forms, count, following, drawn = {}, {}, 0, 0, 0
local placeholder = "fewlabel%-boundary%-%x%x%x%x%x%x%x%x"

function init(args)
  count = tonumber(args[2])
  for number = 0, count - 1 do
    local file = assert(io.open(args[1] .. "/" .. number, "rb"))
    requests[number] = file:read("*a")
    forms[number] = requests[number]:find(placeholder) ~= nil
    file:close()
  end
end

function request()
  following = (following + 1) % count
  if not forms[following] then
    return requests[following]
  end
  drawn = drawn + 1
  return (requests[following]:gsub(placeholder, string.format("fewlabel-boundary-%08x", drawn)))
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f, '
      .. '"bad_status": %d, "socket_errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
