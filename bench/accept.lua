-- Arguments after "--": body, then header names and values. Right is what is accepted (202).
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  wrong = 0
  wrk.method = "POST"
  wrk.body = args[1]
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Prefer"] = "respond-async"
  for i = 2, #args, 2 do
    wrk.headers[args[i]] = args[i + 1]
  end
end

function response(status)
  if status ~= 202 then
    wrong = wrong + 1
  end
end

function done(summary, latency, requests)
  local wrong = 0
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get("wrong")
  end
  local e = summary.errors
  local right = summary.requests - wrong
  io.write(string.format(
    'RESULT {"per_second": %.2f, "p50_ms": %.4f, "p99_ms": %.4f, "right": %d, "wrong": %d, "lost": %d}\n',
    right / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    right, wrong, e.connect + e.read + e.write + e.timeout))
end
