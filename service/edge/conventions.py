"""What holds for every route, as the OpenAPI document tells it: one paragraph for each convention."""

CONVENTIONS = """\
A workload becomes sized servers, with intervals and receipts.

**Bodies.** JSON in UTF-8, names in `snake_case` with the unit in the name, times in RFC 3339 UTC, money as decimal \
strings beside a `currency`. A field that is not described is refused, so that a typo is never silently ignored; so \
are duplicate keys, NaN and Infinity. "Nothing fits" is no error but a finished run whose `feasible` is false and \
whose `shortfall` says what would fit.

**Queries.** A query parameter that a route does not describe is refused like an unknown field, 422, on every route; \
so is one that is given twice and has one value.

**Errors.** Every answer from 400 on is a problem document (RFC 9457, `application/problem+json`). Its `type` is \
stable and leads to a page that says what it means and the way out; `detail` is about this occurrence; `errors` names \
each wrong field with what was sent, what is allowed and the nearest known names. Another tenant's object is 404, like \
one that does not exist. `X-Request-Id` is on every answer and in the log: quote it when asking.

**Authentication.** `Authorization: Bearer <key>`. A key belongs to a principal of one tenant and has one role; what \
the role may not do is 403.

**Work that takes a while.** A question is answered by a run. POST /v1/workloads gives 202 with the run's address in \
`Location` and in `Retry-After` how long to wait before reading it; the same question asked again is 200 with the \
finished run. `Prefer: wait=N` waits for at most N seconds first, here and when the run is read.

**Many at once.** POST /v1/batches takes up to 100,000 workloads and gives 202 with the batch's address; its counts, \
rate and time left are read there, items by page, all results as NDJSON or CSV while it runs. A wrong item is refused \
alone, with its line. An item keeps its answer in short; the same workload posted by itself gets all of it.

**Again and again.** A schedule sizes workloads again on a cron expression or when something is new; each time that it \
is due is an occurrence, which compares every answer with the one before and says what moved, and why.

**Idempotency.** A POST that creates may carry an `Idempotency-Key` of at most 255 characters, which is kept for 24 \
hours: the same key with the same body gives the first answer again, with another body it is 422, and while the first \
request is still at work it is 409.

**Conditional requests.** Single resources carry an `ETag`; `If-None-Match` gives 304 while you have the current \
version. A release that writes a resource in another form gives it another tag. A change of a resource needs \
`If-Match`: 428 without it, 412 when the resource has changed since.

**Paging.** Lists give the newest first (the catalog: by id), `limit` items at a time. `next_cursor` is the `cursor` \
of the next page, opaque, and absent on the last page.

**Rate limits.** Routes that are limited tell in `RateLimit` headers what is left; beyond it, and when a part of the \
service is down, the answer is 429 or 503 with `Retry-After`, in seconds. Bodies that are slow to arrive count too: \
many of one tenant's at once are 429, and one that takes too long is 408.
"""
