"""Who may call the server: names, pages of others, tokens."""

import pytest

from stages.commands.serving.access import AccessRules, is_loopback

TOKEN = "0123456789abcdef"
LOCAL = AccessRules.of("127.0.0.1", [], "")
NAMED = AccessRules.of("127.0.0.1", ["Cars.Example"], TOKEN)
EVERYWHERE = AccessRules.of("0.0.0.0", [], TOKEN)


def status(rules, path="/v1/model", **headers):
    refused = rules.refusal(path, {"host": "localhost:8000"} | headers)
    return 200 if refused is None else refused.status_code


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(("127.0.0.1:8000", 200), ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:8000", 200)),
        *(("evil.example", 421), ("127.0.0.1.evil.example", 421), ("localhost@evil.example", 421), ("", 421)),
        *(("[::1", 421), ("10.0.0.1", 421), ("cars.example", 421), ("evil.example#localhost", 421)),
    ],
)
def test_on_loopback_no_other_name_leads_to_the_server(host, expected):
    assert status(LOCAL, host=host) == expected


def test_a_name_that_is_allowed_and_any_name_where_a_token_guards():
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert status(NAMED, host="cars.example", **bearer) == 200
    assert status(NAMED, host="other.example", **bearer) == 421
    assert status(EVERYWHERE, host="any.example", **bearer) == 200
    assert status(AccessRules.of("0.0.0.0", ["cars.example"], TOKEN), host="any.example", **bearer) == 421


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        *(("http://localhost:8000", 200), ("https://localhost:8000", 200), ("http://localhost:8001", 403)),
        *(("http://evil.example", 403), ("null", 403), ("", 403), ("http://[", 403)),
    ],
)
def test_pages_of_others_are_refused(origin, expected):
    assert status(LOCAL, origin=origin) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        *((f"Bearer {TOKEN}", 200), (f"bearer  {TOKEN}", 200), (f"Basic {TOKEN}", 401), (TOKEN, 401), ("", 401)),
        *((f"Bearer {TOKEN}0", 401), (f"Bearer {TOKEN[:-1]}", 401), ("Bearer ü", 401), ("Bearer", 401)),
    ],
)
def test_the_token(given, expected):
    assert status(EVERYWHERE, authorization=given) == expected


def test_the_page_and_health_need_no_token_and_all_else_does():
    for path in ("/", "/page.css", "/page.js", "/v1/health"):
        assert status(EVERYWHERE, path) == 200
    for path in ("/v1/predict", "/v1/model", "/metrics", "/v1/health/", "//", "/unknown"):
        assert status(EVERYWHERE, path) == 401


def test_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "127.8.0.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "example.org", "", "localhost.example")))
