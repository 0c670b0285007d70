import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from service.addresses import parse_networks
from service.outbound import MOST_BYTES, Outbound, RefusedError, UnsentError, place_of, resolve
from tests.sink import running_sink

LOOPBACK = parse_networks("127.0.0.0/8")
PUBLIC = "93.184.215.14"


@pytest.fixture
def sink():
    with running_sink() as sink:
        yield sink


@pytest.fixture
def outbound():
    """The operator allows loopback, and patience is short."""
    return Outbound(allowed=LOOPBACK, total_s=0.6)


def names(*addresses):
    """A resolver that knows one name after another."""
    answers = list(addresses)
    return lambda _host, _timeout_s: [answers.pop(0) if len(answers) > 1 else answers[0]]


def code_of(outbound, url):
    with pytest.raises(UnsentError) as raised:
        outbound.post(url, b"{}", {})
    return raised.value.code


def test_it_sends_what_it_is_given_and_hears_the_answer(sink, outbound):
    heard = outbound.post(sink.url("/hook?a=b%20c"), b'{"a":1}', {"Content-Type": "application/json", "X-A": "b"})
    assert (heard.status, heard.body) == (200, b"said 200\x00\n")
    [one] = sink.received
    assert (one.path, one.body) == ("/hook?a=b%20c", b'{"a":1}')
    assert one.headers["host"] == f"127.0.0.1:{sink.port}"
    assert one.headers["x-a"] == "b"
    assert "accept-encoding" not in one.headers


REFUSED = """
http://127.0.0.1:{port}/ https://[::1]:{port}/ http://2130706433:{port}/ http://0x7f000001:{port}/
http://0177.0.0.1:{port}/ http://127.1:{port}/ http://0.0.0.0:{port}/ http://169.254.169.254/latest/meta-data
http://10.0.0.1/ https://192.168.0.1/ https://100.64.0.1/ https://[::ffff:127.0.0.1]:{port}/
https://[64:ff9b::7f00:1]/ https://[2002:7f00:1::]/ https://[fe80::1]/ https://[::ffff:7f00:1]/ https://224.0.0.1/
https://user:word@93.184.215.14/ http://127.0.0.1:{port}@93.184.215.14/ https://93.184.215.14:25/
https://93.184.215.14:6379/ http://93.184.215.14/ https://93.184.215.14:99999/ ftp://93.184.215.14/
file:///etc/passwd gopher://127.0.0.1:{port}/ //127.0.0.1/ https:/127.0.0.1/ https://93.184.215.14\\@127.0.0.1/
https://93.184.215.14/#@127.0.0.1/ https://①②⑦.0.0.1/ https://127。0。0。1/ https://a..b/ https://-a/
https://93.184.215.14./ https://a%2eb/ https://[fe80::1%25lo]/ https://
"""
STRANGE = ("https://hooks.example.com/a\nHost: b", "https://hooks.example.com/a b", "https://" + "a" * 3000, "")


@pytest.mark.parametrize("url", [*REFUSED.split(), *STRANGE])
def test_what_may_not_be_called_is_refused_at_save_and_at_send(sink, url):
    outbound, url = Outbound(total_s=0.6), url.replace("{port}", str(sink.port))
    with pytest.raises(RefusedError, match=r"\.$"):
        outbound.check(url)
    with pytest.raises(RefusedError, match=r"\.$"):
        outbound.post(url, b"{}", {})
    assert sink.connections == 0


def test_a_public_address_over_tls_is_accepted():
    Outbound(resolver=names(PUBLIC)).check("https://hooks.example.com/headroom?team=a")
    Outbound(resolver=names("2606:4700::1111")).check("https://hooks.example.com:8443")


@pytest.mark.parametrize(
    ("url", "why"), [("http://hooks.example.com/", "Must be https"), ("https://hooks.example.com:9000/", "not 9000")]
)
def test_a_wrong_scheme_or_port_is_told_before_anybody_is_asked_for_the_name(url, why):
    asked = []
    with pytest.raises(RefusedError, match=why):
        Outbound(resolver=lambda host, _timeout_s: asked.append(host)).check(url)
    assert asked == []


def test_a_name_in_a_network_that_the_operator_allows_may_be_called_without_tls():
    Outbound(allowed=parse_networks("10.0.0.0/8"), resolver=names("10.0.0.1")).check("http://hooks.example.com:9000/")


def test_every_address_of_a_name_counts(sink):
    both = Outbound(resolver=lambda _host, _timeout_s: [PUBLIC, "10.0.0.1"])
    with pytest.raises(RefusedError, match="private"):
        both.check("https://hooks.example.com/")


def test_a_name_that_flips_to_loopback_after_it_was_saved_reaches_nobody(sink):
    flipping = Outbound(resolver=names(PUBLIC, "127.0.0.1"))
    url = f"https://hooks.example.com:8443/{sink.port}"
    flipping.check(url)
    with pytest.raises(RefusedError, match="loopback"):
        flipping.post(url, b"{}", {})
    assert sink.connections == 0


def test_the_checked_address_is_the_one_that_is_connected_to(sink):
    """The name is asked once: what it says afterwards leads nowhere else."""
    asked = []

    def resolver(host, _timeout_s):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    Outbound(allowed=LOOPBACK, resolver=resolver).post(sink.url(host="hooks.example.com"), b"{}", {})
    assert asked == ["hooks.example.com"]
    assert sink.received[0].headers["host"] == f"hooks.example.com:{sink.port}"


def test_the_next_address_is_tried_where_nobody_answers_at_the_first(sink):
    with socket.create_server(("127.0.0.2", 0)) as closed:
        closed.close()
        outbound = Outbound(allowed=LOOPBACK, resolver=lambda _host, _timeout_s: ["127.0.0.2", "127.0.0.1"])
        assert outbound.post(sink.url(host="hooks.example.com"), b"{}", {}).status == 200


def test_a_redirect_is_an_answer_and_not_followed(sink, outbound):
    assert outbound.post(sink.url("/redirect"), b"{}", {}).status == 302
    assert [one.path for one in sink.received] == ["/redirect"]


@pytest.mark.parametrize("path", ["/silent", "/drip-head"])
def test_an_answer_that_does_not_come_is_waited_for_so_long_and_no_longer(sink, outbound, path):
    began_s = time.monotonic()
    assert code_of(outbound, sink.url(path)) == "timeout"
    assert time.monotonic() - began_s < 20 * 0.6


def test_a_body_that_never_ends_is_cut_and_its_status_stands(sink, outbound):
    heard = outbound.post(sink.url("/trickle"), b"{}", {})
    assert heard.status == 200
    assert 0 < len(heard.body) < 100


def test_a_huge_body_is_read_so_far_and_no_further(sink):
    heard = Outbound(allowed=LOOPBACK).post(sink.url("/huge"), b"{}", {})
    assert (heard.status, len(heard.body)) == (200, MOST_BYTES)


def test_proxies_of_the_environment_are_not_used(sink, outbound, monkeypatch):
    with running_sink() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        assert outbound.post(sink.url(), b"{}", {}).status == 200
        assert proxy.connections == 0


def test_nobody_there_and_no_such_name_are_told_apart(outbound):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert code_of(outbound, f"http://127.0.0.1:{port}/") == "unreachable"

    def unknown(host, _timeout_s):
        raise UnsentError("unresolved", f"The name {host} has no address.")

    assert code_of(Outbound(resolver=unknown), "https://nobody.example/") == "unresolved"


def test_whoever_speaks_no_http_is_told_so(outbound):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail ready\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert code_of(outbound, f"http://127.0.0.1:{server.getsockname()[1]}/") == "broken"
        thread.join()


def test_the_resolver_of_the_host_is_asked():
    assert "127.0.0.1" in resolve("localhost", 5.0)
    with pytest.raises(RefusedError, match="loopback"):
        Outbound().check("https://localhost/")


def test_a_url_is_read_in_one_way():
    place = place_of("HTTPS://Hooks.Example.com/A?b=[c]&d=e;f#"[:-1])
    assert (place.scheme, place.host, place.port, place.target) == ("https", "hooks.example.com", 443, "/A?b=[c]&d=e;f")
    assert place_of("https://[2606:4700::1111]:8443?x").authority == "[2606:4700::1111]:8443"
    assert place_of("https://[2606:4700::1111]?x").target == "/?x"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of hooks.example.com that nobody but its own file vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, file = folder / "key.pem", folder / "certificate.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=hooks.example.com"
    named = ["-addext", "subjectAltName=DNS:hooks.example.com", "-keyout", str(key), "-out", str(file)]
    subprocess.run(["openssl", *made.split(), *named], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file, key)
    asked: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    return file, server, asked


def test_tls_is_of_the_name_although_the_address_is_pinned(certificate):
    file, server, asked = certificate
    trusting = ssl.create_default_context(cafile=str(file))

    def outbound(context):
        return Outbound(allowed=LOOPBACK, resolver=names("127.0.0.1"), ssl_context=context)

    with running_sink(server) as sink:
        url = sink.url(scheme="https", host="hooks.example.com")
        assert outbound(trusting).post(url, b"{}", {}).status == 200
        assert asked[-1] == "hooks.example.com"
        assert code_of(outbound(trusting), sink.url(scheme="https", host="other.example.com")) == "tls"
        assert code_of(outbound(None), url) == "tls"
    assert len(sink.received) == 1
