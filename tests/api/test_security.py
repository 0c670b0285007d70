"""What every answer says to browsers, and what is not there: CORS, traces, other methods, a word on the software."""

import pytest

from service.access import Role

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.mark.parametrize("path", ["/healthz", "/v1/runs", "/v1/nothing", "/v1/runs/run_x"])
@pytest.mark.parametrize("has_key", [True, False])
def test_every_answer_says_how_it_is_to_be_treated(client, acme, path, has_key):
    answer = acme.get(path) if has_key else client.get(path)
    for name, value in SAFE.items():
        assert answer.headers[name] == value, name
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for name in ("Access-Control-Allow-Origin", "X-Powered-By", "Set-Cookie"):
        assert name not in answer.headers, name


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_told_which_there_are(acme, method):
    answer = acme.client.open("/v1/runs", method=method, headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 405
    assert answer.headers["Allow"]
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_key_in_the_wrong_place_opens_nothing(client, speaker):
    token = speaker("acme", Role.ADMIN).token
    for headers in ({"X-Api-Key": token}, {"Cookie": f"key={token}"}, {"Authorization": f"Basic {token}"}):
        assert client.get("/v1/runs", headers=headers).status_code == 401, headers
    assert client.get(f"/v1/runs?key={token}").status_code in {401, 422}
