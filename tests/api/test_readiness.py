"""/readyz tells what is so, and looks at the parts once a second at most."""

from sqlalchemy import event

from service.edge.recent_readiness import keep_readiness


def test_asked_often_the_database_is_asked_once_a_second(app, runtime):
    now_s = [100.0]
    keep_readiness(app, monotonic=lambda: now_s[0])
    statements = []
    event.listen(runtime.sessions.kw["bind"], "before_cursor_execute", lambda *args: statements.append(args[2]))
    client = app.test_client()
    first = client.get("/readyz")
    looked = len(statements)
    assert looked > 0
    assert [client.get("/readyz").json for _ in range(3)] == [first.json] * 3
    assert len(statements) == looked
    now_s[0] += 1.0
    client.get("/readyz")
    assert len(statements) > looked
