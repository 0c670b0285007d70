-- What wrk sends, told through the environment, and what came of it, told as one line of JSON.
wrk.method = os.getenv("BENCH_METHOD")
for name, value in string.gmatch(os.getenv("BENCH_HEADERS") or "", "([^:\n]+): ([^\n]+)") do
  wrk.headers[name] = value
end

local body = os.getenv("BENCH_BODY") or ""
local mark = os.getenv("BENCH_MARK") or ""
local from, to = nil, nil
if mark ~= "" then
  from, to = string.find(body, mark, 1, true)
end
if body ~= "" then
  wrk.body = body
end
if from then
  -- Every request is another one: nothing may be remembered by the bytes of the body.
  local before, after, sent = string.sub(body, 1, from - 1), string.sub(body, to + 1), 0
  local series = os.getenv("BENCH_SERIES") or ""
  function request()
    sent = sent + 1
    return wrk.format(nil, nil, nil, before .. series .. sent .. after)
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nBENCH {"requests": %d, "duration_us": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, ' ..
    '"refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
