"""The addresses of the server, on a bundle of tiny networks."""

import base64
import re
import tempfile

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from stages.commands import trained_ensemble
from stages.commands.serving.limits import ServingLimits
from stages.images import images
from tests import hostile
from tests.commands import tiny_bundle
from tests.commands.serving.running import running, status_of, upload
from tests.commands.serving.test_photo_queue import FakeEnsemble

LIMITS = ServingLimits(max_files=4, max_file_bytes=300_000, max_request_bytes=400_000, max_pixels=200 * 150)
PHOTOS = [hostile.saved(hostile.picture(number, 160, 120), "jpg") for number in range(6)]
TRUNCATED = PHOTOS[5][:700]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The files of a bundle of tiny networks."""
    return trained_ensemble.of_bundle(tiny_bundle.make(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def ensemble(files):
    return files.load()


@pytest.fixture(scope="module")
def client(files, ensemble):
    with running(ensemble, files, LIMITS) as made:
        yield made


def test_answers_are_those_of_predict(client, ensemble):
    expected = list(ensemble.predict(PHOTOS[:4], lambda content: content))
    found = client.predict(*PHOTOS[:4])
    assert found.status_code == 200 and len({result.probabilities.argmax() for result in expected}) > 1
    for number, (answer, result) in enumerate(zip(found.json()["photos"], expected, strict=True)):
        probabilities = {one["label"]: one["probability"] for one in answer["predictions"]}
        assert [probabilities[name] for name in tiny_bundle.CLASSES] == result.probabilities.round(4).tolist()
        assert list(probabilities.values()) == sorted(probabilities.values(), reverse=True)
        assert answer["name"] == f"{number}.jpg" and answer["note"] == result.note and answer["reason"] == ""
        assert (answer["width"], answer["height"]) == (160, 120) and answer["inputs"] == []


def test_a_box_lies_in_the_upright_photo(client):
    """The reddest place is in the upper left of a photo that EXIF turns: in the upright photo, in the upper right."""
    rows, columns = np.mgrid[:120, :160]
    red = np.clip(255 - 6 * np.hypot(rows - 30, columns - 30), 0, 255).astype(np.uint8)
    image = hostile.Image.fromarray(np.stack([red, 0 * red, 0 * red + 60], axis=2))
    exif = hostile.Image.Exif()
    exif[0x0112] = 6
    (answer,) = client.predict(hostile.saved(image, "png", exif=exif), query="?inputs=true").json()["photos"]
    assert (answer["width"], answer["height"]) == (120, 160) and answer["note"] in ("", "mask_too_small")
    box = answer["box"]
    assert box["score"] == pytest.approx(0.9, abs=0.02)
    assert 0 <= box["x_min"] < 90 < box["x_max"] <= 120 and 0 <= box["y_min"] < 30 < box["y_max"] <= 160
    assert sorted(shown["input"] for shown in answer["inputs"]) == ["kept", "removed"]
    assert all(shown["jpeg"].startswith("/9j/") for shown in answer["inputs"])


def test_a_heat_map_lies_where_the_networks_looked(client):
    """A dark photo with a blue spot at the lower right, where the tiny networks have their evidence for blue."""
    photo = np.full((120, 160, 3), 20, np.uint8)
    photo[80:110, 120:150] = (0, 0, 255)
    content = images.encode(photo, ".png")
    plain, explained, bad = client.predict(content, content, TRUNCATED, query="?explain=true").json()["photos"]
    assert bad["heat_map"] is None and plain | {"name": "1.jpg"} == explained
    kind, _, text = plain["heat_map"].partition(",")
    assert kind == "data:image/png;base64" and plain["predictions"][0]["label"] == "blue <b>"
    picture = images.decode(base64.b64decode(text)).astype(int)
    colour = picture.max(axis=2) - picture.min(axis=2)
    assert picture.shape == (120, 160, 3) and colour[85:105, 125:145].min() > 60 > 3 * colour[:60, :90].max()
    (without,) = client.predict(content).json()["photos"]
    assert without["heat_map"] is None and plain | {"heat_map": None} == without


def test_a_bad_photo_has_a_reason_and_its_neighbours_their_answers(client):
    alone = [client.predict(content).json()["photos"][0] for content in PHOTOS[:2]]
    large = hostile.saved(hostile.picture(1, 201, 150), "jpg")
    found = client.predict(PHOTOS[0], TRUNCATED, large, PHOTOS[1])
    first, truncated, too_large, last = found.json()["photos"]
    assert found.status_code == 200 and [first, last | {"name": "0.jpg"}] == alone
    assert truncated["reason"] == "truncated" and truncated["predictions"] == [] and truncated["width"] is None
    assert too_large["note"] == "too_large: 201 x 150 pixels, at most 30000" and "safe" in too_large["explanation"]
    (no_photo,) = client.predict(b"x" * 300_001).json()["photos"]
    assert no_photo["note"] == "too_large: 300001 bytes, at most 300000"
    (no_photo,) = client.predict(b"no photo").json()["photos"]
    assert no_photo["note"] == "not_an_image: cannot identify image file"


def test_the_number_of_classes(client):
    assert len(client.predict(PHOTOS[0], query="?top=2").json()["photos"][0]["predictions"]) == 2
    assert len(client.predict(PHOTOS[0], query="?top=99").json()["photos"][0]["predictions"]) == 3
    for query in ("?top=0", "?top=x", "?top=", "?top=1e9", "?inputs=perhaps", "?explain=2"):
        assert client.predict(PHOTOS[0], query=query).status_code == 422


def test_malformed_requests_are_refused(client):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    part = b'--x\r\ncontent-disposition: form-data; name="files"; filename="a"\r\n\r\nb\r\n'

    def status(**options):
        return client.post(**options).status_code

    assert status() == 415 and status(json={}) == 415 and status(data={"files": "x"}) == 415
    assert status(data=b"", headers=headers) == 400
    assert status(data=part, headers={"content-type": "multipart/form-data"}) == 400
    assert status(data=part + b"--y--", headers=headers) == 400
    assert status(data=part + part[:-3], headers=headers) == 400
    assert status(data=b"--x\r\n\r\n\r\n--x--\r\n", headers=headers) == 400
    assert status(data=part + b"--x--\r\n", headers=headers) == 200
    assert status(files=upload(PHOTOS[0], field="photos")) == 400
    assert status(files=upload(PHOTOS[0]), data={"other": "x"}) == 400
    assert status(files=upload(*[b""] * 5)) == 400
    assert client.get("/v1/predict").status_code == 405 and client.get("/v1").status_code == 404


HEAD = b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=x\r\n%s\r\n\r\n"
START = b'--x\r\ncontent-disposition: form-data; name="files"; filename="a"\r\n\r\n'


def test_a_request_of_too_many_bytes_is_refused_with_and_without_a_declared_length(client):
    assert status_of(client.raw(HEAD % b"content-length: 400001")) == 413
    chunks = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (START, *[b"x" * 50_000] * 8)]
    assert status_of(client.raw(HEAD % b"transfer-encoding: chunked", *chunks)) == 413
    for length in (b"-1", b"1e3", b"\xb2", b"9" * 5000):
        assert status_of(client.raw(HEAD % (b"content-length: " + length))) in (400, 413)


def test_a_slow_upload_is_given_up(files, ensemble):
    with running(ensemble, files, ServingLimits(seconds=0.2)) as client:
        with client.raw(HEAD % b"content-length: 1000", START) as connection, connection.makefile("rb") as stream:
            response = stream.read()  # up to the end of the connection, which the server closes
        assert response.startswith(b"HTTP/1.1 408 ") and b"connection: close" in response.lower()
        assert "cars_upload_bytes 0.0" in client.get("/metrics").text


@pytest.mark.parametrize(
    ("name", "charset", "expected"),
    [
        (b"<script>alert(1)</script>.jpg", "utf-8", "<script>alert(1)</script>.jpg"),
        (b"+2AA-.jpg", "utf-7", "?.jpg"),  # half a character, which JSON cannot carry
        (b"\xff.jpg", "utf-8", "ÿ.jpg"),
        (b"a.jpg", "no-such", "a.jpg"),
        (b"n" * 300, "utf-8", "n" * 255),
        (b"", "utf-8", ""),
    ],
)
def test_odd_names_come_back_as_text(client, name, charset, expected):
    part = b'--x\r\ncontent-disposition: form-data; name="files"; filename="' + name + b'"\r\n\r\nb\r\n--x--\r\n'
    headers = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    found = client.post(data=part, headers=headers)
    assert found.status_code == 200 and found.json()["photos"][0]["name"] == expected


@pytest.mark.parametrize(("name", "charset"), [(b"a.jpg", "undefined"), (b"xn--a-ecp.ru", "idna")])
def test_names_in_an_encoding_that_cannot_be_decoded_are_refused_and_not_logged(client, name, charset, caplog):
    part = b'--x\r\ncontent-disposition: form-data; name="files"; filename="' + name + b'"\r\n\r\nb\r\n--x--\r\n'
    headers = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    found = client.post(data=part, headers=headers)
    assert found.status_code == 400 and "expected names of files in UTF-8" in found.json()["detail"]
    assert caplog.text == ""


def test_no_photo_is_written_to_a_disk(files, ensemble, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    with running(ensemble, files, ServingLimits()) as client:
        assert client.predict(PHOTOS[0], bytes(5_000_000)).status_code == 200


def test_a_full_queue_is_429_and_a_slow_answer_504(files):
    slow = FakeEnsemble()
    limits = ServingLimits(max_files=4, max_queue=2, seconds=1.0)
    with running(slow, files, limits) as client:
        full = client.predict(*PHOTOS[:3])
        assert full.status_code == 429 and int(full.headers["retry-after"]) >= 1 and "full" in full.json()["detail"]
        assert client.predict(PHOTOS[0]).status_code == 504
        slow.gate.set()
        assert client.predict(PHOTOS[0]).status_code == 200
    assert all(len(batch) == 1 for batch in slow.batches)


def test_uploads_beyond_the_memory_for_all_of_them_are_429(files, ensemble):
    with running(ensemble, files, ServingLimits(max_upload_bytes=20_000)) as client:
        refused = client.predict(bytes(20_000))
        assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
        # What was reserved is free again.
        assert [client.predict(bytes(15_000)).status_code for _ in range(3)] == [200] * 3
        assert "cars_upload_bytes 0.0" in client.get("/metrics").text


def test_the_ensemble_is_described(client):
    found = client.get("/v1/model").json()
    assert found["classes"] == tiny_bundle.CLASSES and found["format"] == 2 and found["temperature"] == 1.5
    assert found["models"] == [
        {"name": "a", "weight": 0.75, "backbone": "tiny", "input": "removed"},
        {"name": "b", "weight": 0.25, "backbone": "tiny", "input": "kept"},
    ]
    assert {(one["name"], one["width"], one["background"]) for one in found["inputs"]} == {
        ("removed", 80, "remove"),
        ("kept", 80, "keep"),
    }
    assert found["detector"] == "centernet_mobilenetv3" and found["limits"]["max_files"] == 4
    assert client.get("/v1/health").json() == {"status": "ok", "waiting": 0}


def test_photos_and_requests_are_counted(files, ensemble):
    with running(ensemble, files, LIMITS) as client:
        client.predict(PHOTOS[0], TRUNCATED, PHOTOS[1])
        client.get("/nothing")
        lines = client.get("/metrics").text.splitlines()
    for line in (
        'cars_photos_total{result="classified"} 2.0',
        'cars_photos_total{result="truncated"} 1.0',
        'cars_requests_total{status="200"} 1.0',
        'cars_requests_total{status="404"} 1.0',
        "cars_predict_seconds_count 1.0",
        "cars_waiting_photos 0.0",
    ):
        assert line in lines, line
    assert any(line.startswith("process_resident_memory_bytes") for line in lines)


def test_a_token_is_needed_before_the_body_is_read(files, ensemble):
    token = "0123456789abcdef"
    with running(ensemble, files, LIMITS, token) as client:
        assert client.predict(PHOTOS[0]).status_code == 401
        assert client.predict(PHOTOS[0], headers={"authorization": f"Bearer {token}"}).status_code == 200
        paths = client.get("/openapi.json").json()["paths"]
        secured = [path for path, item in paths.items() for way in item.values() if way.get("security")]
        assert secured == ["/v1/predict", "/v1/model", "/metrics"]
        assert client.get("/").status_code == 200 and client.get("/metrics").status_code == 401


def test_every_answer_has_the_security_headers(client):
    for answer in (client.get("/"), client.get("/nothing"), client.get("/v1/health", headers={"host": "evil.example"})):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
    assert client.get("/v1/health", headers={"host": "evil.example"}).status_code == 421


def test_the_page_needs_nothing_from_elsewhere(client):
    parts = {path: client.get(path) for path in ("/", "/page.css", "/page.js")}
    assert [part.headers["content-type"].partition(";")[0] for part in parts.values()] == [
        "text/html",
        "text/css",
        "text/javascript",
    ]
    text = "".join(part.text for part in parts.values())
    assert re.findall(r"https?://[^\s\"']+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|\son\w+=|style=", text)
    linked = set(re.findall(r'(?:href|src)="(/[^"]*)"', parts["/"].text))
    assert linked == {"/page.css", "/page.js", "/openapi.json"} and ".cards" in parts["/page.css"].text


def test_it_answers_as_its_openapi_says(client):
    """Generated requests, valid and not: no answer is another than the schema declares, and none is a 500."""
    schema = schemathesis.openapi.from_url(f"{client.address}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    labels = ["GET /metrics", "GET /v1/health", "GET /v1/model", "POST /v1/predict"]
    assert sorted(operation.label for operation in operations) == labels
    limited = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

    def check(case):
        case.call_and_validate()

    for operation in operations:
        limited(given(case=operation.as_strategy())(check))()
