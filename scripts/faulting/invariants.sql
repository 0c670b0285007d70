-- What must not be found once the service is at rest: each statement gives a line of words per violation.
-- The name of a statement is the invariant that it looks after.

-- I1 every run ends
SELECT format('run %s of %s is still %s after %s attempts', id, tenant_id, status, attempts)
FROM runs WHERE status IN ('queued', 'running');

-- I1 a failed run says why
SELECT format('run %s failed without a code', id) FROM runs WHERE status = 'failed' AND coalesce(error_code, '') = '';

-- I1 every batch ends, with every item counted
SELECT format('batch %s of %s items is %s: %s done, %s infeasible, %s refused, %s failed', id, items, status, done, infeasible, refused, failed)
FROM batches
WHERE status IN ('accepted', 'running') OR (status = 'done' AND done + infeasible + refused + failed <> items);

-- I1 every occurrence of a schedule ends
SELECT format('occurrence %s of %s is %s at %s', id, tenant_id, status, stage) FROM occurrences WHERE status <> 'done';

-- I1 nothing written waits to be rung
SELECT format('outbox entry %s for %s waits since %s', id, entity_id, created_at) FROM outbox;

-- I2 one workload per tenant and key
SELECT format('%s workloads of %s under the name %s', count(*), tenant_id, name)
FROM workloads WHERE name LIKE 'job %' GROUP BY tenant_id, name HAVING count(*) > 1;

-- I2 one request per tenant and idempotency key
SELECT format('%s rows for key %s of %s', count(*), key, tenant_id)
FROM idempotency_keys GROUP BY tenant_id, key HAVING count(*) > 1;

-- I2 one result per tenant and question
SELECT format('%s results of %s for %s', count(*), tenant_id, digest)
FROM results GROUP BY tenant_id, digest HAVING count(*) > 1;

-- I2 one revision per number, one of them out
SELECT format('%s rows of quote %s revision %s of %s', count(*), number, revision, tenant_id)
FROM quotes GROUP BY tenant_id, number, revision HAVING count(*) > 1;

-- I2 one of a number is out
SELECT format('%s revisions of quote %s of %s are out', count(*), number, tenant_id)
FROM quotes WHERE state IN ('issued', 'accepted') GROUP BY tenant_id, number HAVING count(*) > 1;

-- I2 one document per revision and format
SELECT format('%s documents of quote %s as %s', count(*), quote_id, format)
FROM quote_documents GROUP BY quote_id, format HAVING count(*) > 1;

-- I2 a tick of a schedule has one occurrence
SELECT format('%s occurrences of schedule %s for %s', count(*), schedule_id, tick)
FROM occurrences GROUP BY schedule_id, tick HAVING count(*) > 1;

-- I2 an occurrence has a batch of its own
SELECT format('%s occurrences are of batch %s', count(*), batch_id)
FROM occurrences WHERE batch_id IS NOT NULL GROUP BY batch_id HAVING count(*) > 1;

-- I2 an item has one end
SELECT format('%s rows of item %s of batch %s', count(*), line, batch_id)
FROM batch_items GROUP BY batch_id, line HAVING count(*) > 1;

-- I5 one question, one answer
SELECT format('%s different answers to %s', count(DISTINCT md5(body)), digest)
FROM results GROUP BY digest HAVING count(DISTINCT md5(body)) > 1;

-- I5 a result says under which versions it was found, that of its price list among them
SELECT format('the result of %s for %s names no versions', tenant_id, digest)
FROM results
WHERE NOT (body::jsonb ?& ARRAY['engine_version', 'catalog_version', 'calibration_version', 'price_book_digest']);

-- I5 a result is of the versions of its run
SELECT format('run %s of %s is of %s, and its result of %s', run_id, tenant_id, run, result)
FROM (
  SELECT r.id AS run_id, r.tenant_id,
    jsonb_build_array(r.engine_version, r.catalog_version, r.calibration_version, r.price_book_digest) AS run,
    jsonb_build_array(s.body::jsonb -> 'engine_version', s.body::jsonb -> 'catalog_version',
      s.body::jsonb -> 'calibration_version', s.body::jsonb -> 'price_book_digest') AS result
  FROM runs r JOIN results s ON s.tenant_id = r.tenant_id AND s.digest = r.digest
  WHERE r.status = 'done'
) AS pairs
WHERE run <> result;

-- I5 a priced quote says by which price list
SELECT format('quote %s revision %s is priced by no list', number, revision)
FROM quotes
WHERE state IN ('issued', 'accepted') AND coalesce(snapshot::jsonb #>> '{price_book,digest}', '') = '';

-- I6 a quote says what its hash says
SELECT format('quote %s revision %s does not say what its hash says', number, revision)
FROM quotes WHERE encode(sha256(convert_to(snapshot, 'UTF8')), 'hex') <> replace(sha256, 'sha256:', '');

-- I6 a document is what its hash says
SELECT format('the %s of quote %s is not what its hash says', format, quote_id)
FROM quote_documents
WHERE content IS NOT NULL AND encode(sha256(content), 'hex') <> replace(sha256, 'sha256:', '');

-- I6 the parts of a quote add up
SELECT format('quote %s revision %s: %s + %s is not its total of %s', number, revision,
    snapshot::jsonb #>> '{totals,subtotal}', snapshot::jsonb #>> '{totals,charges_amount}', snapshot::jsonb #>> '{totals,total}')
FROM quotes
WHERE snapshot::jsonb #>> '{totals,total}' IS NOT NULL
  AND (snapshot::jsonb #>> '{totals,subtotal}')::numeric + (snapshot::jsonb #>> '{totals,charges_amount}')::numeric
      <> (snapshot::jsonb #>> '{totals,total}')::numeric;

-- I6 the lines of a quote add up
SELECT format('quote %s revision %s: its lines make %s and its subtotal is %s', q.number, q.revision, l.net, l.said)
FROM quotes q
CROSS JOIN LATERAL (
  SELECT sum((line ->> 'extended_net')::numeric) AS net,
    (q.snapshot::jsonb #>> '{totals,subtotal}')::numeric AS said
  FROM jsonb_array_elements(q.snapshot::jsonb -> 'lines') AS line
) AS l
WHERE q.complete AND l.net <> l.said;

-- I8 done means that there is a result
SELECT format('run %s of %s is done, and its result is not there', runs.id, runs.tenant_id)
FROM runs LEFT JOIN results ON results.tenant_id = runs.tenant_id AND results.digest = runs.digest
WHERE runs.status = 'done' AND results.digest IS NULL;

-- I9 a workload was made once, and that was noted once
SELECT format('%s events tell that workload %s was made', count(a.id), w.id)
FROM workloads w
LEFT JOIN audit_events a ON a.resource_id = w.id AND a.tenant_id = w.tenant_id AND a.action = 'workload.created'
GROUP BY w.id HAVING count(a.id) <> 1;

-- I9 each cancellation was noted once
SELECT format('%s events tell that run %s, which is %s, was cancelled', count(a.id), r.id, r.status)
FROM runs r
LEFT JOIN audit_events a ON a.resource_id = r.id AND a.tenant_id = r.tenant_id AND a.action = 'run.cancelled'
GROUP BY r.id, r.status HAVING count(a.id) <> (r.status = 'cancelled')::int;

-- I9 each version of a quote was noted once
SELECT format('quote %s is at version %s, and %s events tell of it', q.id, q.version, count(a.id))
FROM quotes q
LEFT JOIN audit_events a ON a.resource_id = q.id AND a.tenant_id = q.tenant_id
GROUP BY q.id, q.version HAVING count(a.id) <> q.version;

-- I9 the events of a quote follow one another
SELECT format('quote %s: an event begins at "%s", and the one before ended at "%s"', resource_id, old_state, before)
FROM (
  SELECT resource_id, old_state, lag(new_state) OVER (PARTITION BY resource_id ORDER BY substring(new_state from 'version ([0-9]+)')::int) AS before
  FROM audit_events WHERE resource_kind = 'quote'
) AS steps
WHERE before IS NOT NULL AND old_state IS DISTINCT FROM before;

-- I9 each batch of a caller was noted once; those of schedules the service makes by itself
SELECT format('%s events tell that batch %s was made', count(a.id), b.id)
FROM batches b
LEFT JOIN audit_events a ON a.resource_id = b.id AND a.tenant_id = b.tenant_id AND a.action = 'batch.created'
WHERE b.status <> 'receiving' AND NOT EXISTS (SELECT 1 FROM occurrences o WHERE o.batch_id = b.id)
GROUP BY b.id HAVING count(a.id) <> 1;

-- I9 no event tells of another tenant's resource
SELECT format('event %s of %s tells of run %s of %s', a.id, a.tenant_id, r.id, r.tenant_id)
FROM audit_events a JOIN runs r ON r.id = a.resource_id WHERE r.tenant_id <> a.tenant_id;

-- I9 each event says who, when and in which request
SELECT format('event %s (%s of %s) lacks who, when or the request', id, action, resource_id)
FROM audit_events
WHERE principal = '' OR request_id = '' OR created_at > now() + interval '1 minute'
  OR (key_id IS NULL AND principal NOT IN ('operator on the host', 'the service itself'));

-- I9 each key, price book, webhook, schedule, occurrence and tenant was made once, and that was noted once
SELECT format('%s events tell that %s %s was made', count(a.id), made.kind, made.id)
FROM (
  SELECT 'key' AS kind, id, tenant_id FROM api_keys
  UNION ALL SELECT 'price_book', id, tenant_id FROM price_books
  UNION ALL SELECT 'webhook', id, tenant_id FROM webhooks
  UNION ALL SELECT 'schedule', id, tenant_id FROM schedules
  UNION ALL SELECT 'occurrence', id, tenant_id FROM occurrences
  UNION ALL SELECT 'tenant', id, id FROM tenants
) AS made
LEFT JOIN audit_events a
  ON a.resource_id = made.id AND a.tenant_id = made.tenant_id AND a.action = made.kind || '.created'
GROUP BY made.kind, made.id HAVING count(a.id) <> 1;

-- I9 each version of a schedule and each change of a price book was noted once
SELECT format('%s %s was changed %s times, and %s events tell of it', c.kind, c.id, c.changes, count(a.id))
FROM (
  SELECT 'schedule' AS kind, id, tenant_id, version - 1 AS changes,
    ARRAY['schedule.changed', 'schedule.paused', 'schedule.resumed', 'schedule.removed'] AS actions FROM schedules
  UNION ALL SELECT 'price_book', id, tenant_id, changes, ARRAY['price_book.activated'] FROM price_books
) AS c
LEFT JOIN audit_events a ON a.resource_id = c.id AND a.tenant_id = c.tenant_id AND a.action = ANY(c.actions)
GROUP BY c.kind, c.id, c.changes HAVING count(a.id) <> c.changes;

-- I9 each version of a webhook was noted once
SELECT format('webhook %s is at version %s, and %s events tell of it', w.id, w.version, count(a.id))
FROM webhooks w
LEFT JOIN audit_events a ON a.resource_id = w.id AND a.tenant_id = w.tenant_id
GROUP BY w.id, w.version HAVING count(a.id) <> w.version;

-- I9 what is over ended once, and that was noted once: revoked keys, webhooks and schedules that are gone, occurrences
SELECT format('%s events tell that %s %s ended, and it has %s', count(a.id), e.kind, e.id,
  CASE WHEN e.ended THEN 'ended' ELSE 'not' END)
FROM (
  SELECT 'key' AS kind, id, tenant_id, 'key.revoked' AS action, revoked_at IS NOT NULL AS ended FROM api_keys
  UNION ALL SELECT 'webhook', id, tenant_id, 'webhook.deleted', state = 'deleted' FROM webhooks
  UNION ALL SELECT 'schedule', id, tenant_id, 'schedule.removed', removed_at IS NOT NULL FROM schedules
  UNION ALL SELECT 'occurrence', id, tenant_id, 'occurrence.done', status = 'done' FROM occurrences
  UNION ALL SELECT 'batch', id, tenant_id, 'batch.cancelled', status = 'cancelled' FROM batches
) AS e
LEFT JOIN audit_events a ON a.resource_id = e.id AND a.tenant_id = e.tenant_id AND a.action = e.action
GROUP BY e.kind, e.id, e.ended HAVING count(a.id) <> e.ended::int;

-- I9 a tenant is as its newest event says
SELECT format('tenant %s is %s, and its newest event says "%s"', id, stands, said)
FROM (
  SELECT t.id, CASE WHEN t.disabled_at IS NULL THEN 'enabled' ELSE 'disabled' END AS stands, (
    SELECT a.new_state FROM audit_events a
    WHERE a.resource_id = t.id AND a.action IN ('tenant.created', 'tenant.disabled', 'tenant.enabled')
    ORDER BY a.id DESC LIMIT 1) AS said
  FROM tenants t
) AS told
WHERE said IS DISTINCT FROM stands;

-- I9 the events of a quota follow one another
SELECT format('tenant %s: a quota begins at "%s", and the one before ended at "%s"', resource_id, old_state, before)
FROM (
  SELECT resource_id, old_state, lag(new_state) OVER (PARTITION BY resource_id ORDER BY id) AS before
  FROM audit_events WHERE action = 'tenant.quota_changed'
) AS steps
WHERE before IS NOT NULL AND old_state IS DISTINCT FROM before;

-- I3 an event is of its key's tenant
SELECT format('event %s of %s was made with key %s of %s', a.id, a.tenant_id, k.id, k.tenant_id)
FROM audit_events a JOIN api_keys k ON k.id = a.key_id WHERE k.tenant_id <> a.tenant_id;

-- I3 a run, its workload and its result are of one tenant
SELECT format('run %s of %s is of workload %s of %s', r.id, r.tenant_id, w.id, w.tenant_id)
FROM runs r JOIN workloads w ON w.id = r.workload_id WHERE w.tenant_id <> r.tenant_id;

-- I3 a quote is of its own tenant's run
SELECT format('quote %s of %s is of run %s of %s', q.id, q.tenant_id, r.id, r.tenant_id)
FROM quotes q JOIN runs r ON r.id = q.run_id WHERE q.tenant_id <> r.tenant_id;

-- I3 who follows is of the same tenant
SELECT format('run %s of %s follows %s of %s', f.id, f.tenant_id, l.id, l.tenant_id)
FROM runs f JOIN runs l ON l.id = f.follows_run_id WHERE f.tenant_id <> l.tenant_id;
