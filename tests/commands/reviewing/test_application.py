"""The server of the review: what it answers, refuses and writes."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import requests
from PIL import Image

from stages.commands.reviewing import class_ranking
from stages.core.errors import TableError
from stages.schemas import corrections
from tests.commands.reviewing import review_project
from tests.commands.reviewing.review_project import CLASSES, IDS, TURNED, running, service


@pytest.fixture
def project(tmp_path):
    return review_project.make(tmp_path)


@pytest.fixture
def page(project):
    with running(service(project)) as made:
        yield made


def written(project):
    frame = corrections.read(project / "data" / "corrections.csv")
    return [tuple(row) for row in frame[["image_id", "kind", "value"]].to_numpy()]


def test_the_queue_and_its_counts(page):
    found = page.queue()
    assert found["image_ids"][:2] == [IDS[0], IDS[1]] and found["n_total"] == 7 and found["done"] == []
    assert found["codes"]["label_issue"] == 2 and found["labels"]["coupe"] == 2 and found["n_unreadable"] == 1
    assert page.queue(reason="wrong_prediction")["image_ids"] == [IDS[3]]


def test_a_photo_of_val_or_test_has_the_predictions_of_the_models(page):
    found = page.call(f"/v1/photos/{IDS[3]}").json()
    assert found["predictors"] == ["ensemble", "tiny"] and (found["label"], found["split"]) == ("wagon", "test")
    assert found["suggestions"][0] == "van" and sorted(found["suggestions"]) == sorted(CLASSES)
    assert {row["label"]: row["probabilities"] for row in found["rows"]}["wagon"] == [0.1, 0.5]
    assert found["box"] == {"x_min": 20, "y_min": 10, "x_max": 120, "y_max": 90}
    assert page.call(f"/v1/photos/{IDS[4]}").json()["box"] is None


def test_a_photo_of_train_has_those_of_the_probes_their_mean_first(page):
    found = page.call(f"/v1/photos/{IDS[0]}").json()
    assert found["predictors"] == ["mean of probes", "probe other", "probe tiny"]
    # The mean of coupe and of sedan is (0.5 + 0.1) / 2; the first class of equal ones leads.
    assert found["rows"][:2] == [
        {"label": "coupe", "probabilities": [0.3, 0.5, 0.1]},
        {"label": "sedan", "probabilities": [0.3, 0.1, 0.5]},
    ]
    assert found["suggested_label"] == "sedan" and [one["code"] for one in found["reasons"]] == [
        "label_issue",
        "outlier",
    ]
    (other,) = page.call(f"/v1/photos/{IDS[5]}").json()["near_duplicates"]
    assert other == {"image_id": IDS[6], "path": "limousine/6.jpg", "label": "limousine"}


def test_classes_without_predictions_begin_with_the_suggested_one():
    ranking = class_ranking.rank(["a", "b", "c"], [], "c", "b")
    assert ranking.suggestions == ["c", "a", "b"] and [row.probabilities for row in ranking.rows] == [[], [], []]
    many = [f"c{number}" for number in range(9)]
    values = np.array([0.3, 0.2, 0.1, 0.1, 0.1, 0.06, 0.05, 0.05, 0.04])
    ranking = class_ranking.rank(many, [values, values[::-1]], "", "c6")
    assert [row.label for row in ranking.rows] == ["c0", "c1", "c2", "c3", "c4", "c6", "c8"]


def test_pictures_are_upright_and_of_the_right_kind(page):
    def read(number, kind):
        answer = page.call(f"/v1/photos/{IDS[number]}/{kind}")
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/jpeg"
        return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)

    assert read(0, "photo").shape == (100, 200, 3) and read(0, "crop").shape == (80, 100, 3)
    turned = read(TURNED, "photo")
    # Turned clockwise, the dark upper left quarter is the upper right one.
    assert turned.shape == (200, 100, 3) and turned[20, 80, 0] < 150 < turned[20, 20, 0] and turned[180, 80, 0] > 150
    assert (read(0, "mask")[40, 50] - (20, 200, 20)).max() < 10


def test_a_missing_picture_has_a_reason(project, page):
    (project / "photos" / "coupe" / "0.jpg").write_bytes(review_project.photo(1))
    answers = [page.call(f"/v1/photos/{IDS[0]}/photo"), page.call(f"/v1/photos/{IDS[6]}/crop")]
    assert [(one.status_code, one.json()["detail"]) for one in answers] == [(404, "changed"), (404, "missing")]


def test_without_archives_and_optional_tables_photos_are_shown(project):
    for name in ("issues.csv", "masks.csv", "boxes.csv", "ensemble_predictions.csv", "crops/00000.zip"):
        (project / "data" / name).unlink()
    (project / "data" / "crops").rmdir()
    made = service(project)
    assert made.data.missing == ["issues.csv", "boxes.csv", "masks.csv", "ensemble_predictions.csv"]
    with running(made) as page:
        assert sorted(page.queue()["image_ids"]) == sorted([IDS[5], IDS[6]])
        assert page.call(f"/v1/photos/{IDS[5]}/photo").status_code == 200
        assert page.call(f"/v1/photos/{IDS[5]}/crop").status_code == 404


def test_decisions_are_written_at_once_and_undone(project, page):
    answer = page.decide(0, "label", "sedan")
    assert answer.status_code == 200 and answer.json()["decisions"][0]["who"] == "Ann"
    assert page.decide(0, "no_mask", expected=[("label", "sedan")]).status_code == 200
    assert written(project) == [(IDS[0], "label", "sedan"), (IDS[0], "no_mask", "")]
    assert page.queue(state="decided")["image_ids"] == [IDS[0]] and page.queue(state="open")["n_total"] == 7
    assert page.call("/v1/undo", {"tab": "a"}).json()["image_id"] == IDS[0]
    assert written(project) == [(IDS[0], "label", "sedan")]
    assert page.call("/v1/undo", {"tab": "b"}).json() == {"image_id": "", "decisions": []}
    assert page.decide(0, "label", expected=[("label", "sedan")], is_removed=True).json()["decisions"] == []


def test_two_tabs_do_not_overwrite_each_other(project, page):
    assert page.decide(0, "label", "sedan", tab="a").status_code == 200
    refused = page.decide(0, "drop", tab="b")
    assert refused.status_code == 409 and "label sedan" in refused.json()["detail"]
    assert written(project) == [(IDS[0], "label", "sedan")]


def test_a_conflict_on_disk_is_an_error_of_the_page(project, page):
    path = project / "data" / "corrections.csv"
    path.write_text(f"{','.join(corrections.COLUMNS)}\n{IDS[0]},drop,,Ann,,\n{IDS[0]},label,van,Ben,,\n")
    before = path.read_bytes()
    answers = [page.decide(1, "drop"), page.call("/v1/queue", {"state": "all"}), page.call(f"/v1/photos/{IDS[1]}")]
    assert [one.status_code for one in answers] == [409] * 3 and path.read_bytes() == before
    assert all("`drop` by Ann and `label van` by Ben" in one.json()["detail"] for one in answers)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("box", "10.4 20.6 99.5 80", "10 21 100 80"),
        ("box", "0 0 200 100", "0 0 200 100"),
        *(
            ("box", text, None)
            for text in ("", "1 2 3", "0 0 201 100", "-1 0 9 9", "9 0 1 9", "1 1 1.2 9", "nan 0 9 9")
        ),
        *(("label", text, None) for text in ("", "truck", "sedan\n", "Sedan", "x" * 501)),
        *((kind, "sedan", None) for kind in ("drop", "not_a_car", "no_mask", "burn", "")),
    ],
)
def test_values(project, page, kind, value, expected):
    answer = page.decide(1, kind, value)
    if expected is None:
        assert answer.status_code == 422 and not (project / "data" / "corrections.csv").exists()
    else:
        assert written(project) == [(IDS[1], kind, expected)]


def test_a_box_is_in_pixels_of_the_upright_photo(project, page):
    assert page.decide(TURNED, "box", "0 0 100 200").status_code == 200
    assert page.decide(TURNED, "box", "0 0 200 100", expected=[("box", "0 0 100 200")]).status_code == 422
    assert written(project) == [(IDS[TURNED], "box", "0 0 100 200")]


@pytest.mark.parametrize("image_id", ["0" * 16, "..%2f..%2fparams.yaml", "%00", "ü", "'", "x" * 5000])
def test_other_ids_are_refused(page, image_id):
    for path, body in (("", None), ("/photo", None), ("/skip", {}), ("/decision", {"kind": "drop", "expected": []})):
        assert page.call(f"/v1/photos/{image_id}{path}", body).status_code in (404, 405)


def test_half_a_character_is_no_filter_for_a_column_of_arrow(project):
    made = service(project)
    reasons = made.data.queue.reasons
    columns = {name: reasons[name].astype("str") for name in ("image_id", "code")}
    found = replace(made.data.queue, reasons=reasons.assign(**columns))
    made.data = replace(made.data, queue=found)
    with running(made) as page:
        assert page.queue(reason="\ud800")["image_ids"] == [] and page.queue()["image_ids"]


def test_filters_of_other_values_show_nothing(page):
    for name in ("reason", "label", "split"):
        for text in ("' or 1=1", "\ud800", "x" * 10_000):
            assert page.queue(**{name: text})["image_ids"] == []
    assert page.call("/v1/queue", {"state": "?"}).status_code == 422


@pytest.mark.parametrize("body", ["", "[]", "{", '{"kind": "drop"}', '{"kind": 1, "expected": []}', '"\\ud800"', "NaN"])
def test_bodies_that_are_no_request_are_refused(page, body):
    headers = {"Authorization": f"Bearer {review_project.TOKEN}", "Content-Type": "application/json"}
    address = f"{page.address}/v1/photos/{IDS[0]}/decision"
    assert requests.post(address, data=body, headers=headers, timeout=60).status_code == 422


def test_only_the_page_itself_may_call(project, page):
    body = {"kind": "drop", "expected": []}
    address = f"/v1/photos/{IDS[0]}/decision"
    for headers, status in (
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Bearer {review_project.TOKEN}", "Origin": page.address}, 200),
    ):
        assert page.call(address, body, **headers).status_code == status, headers
    assert written(project) == [(IDS[0], "drop", "")]
    assert page.call(f"/v1/photos/{IDS[0]}/photo", Authorization="").status_code == 401
    found = page.call("/", Authorization="")
    assert found.status_code == 200 and "default-src 'none'" in found.headers["content-security-policy"]
    assert "http" not in found.text.replace("http-equiv", "")


def test_what_was_skipped_is_kept_from_sitting_to_sitting(project, page):
    assert page.call(f"/v1/photos/{IDS[1]}/skip", {}).status_code == 200
    assert json.loads((project / "logs" / "review.json").read_text()) == {"skipped": [IDS[1]]}
    with running(service(project)) as other:
        assert other.queue(state="skipped")["image_ids"] == [IDS[1]] == other.queue()["done"]


def test_a_table_of_other_classes_or_one_written_meanwhile_is_an_error(project):
    made = service(project)
    table = project / "data" / "predictions" / "tiny.csv"
    table.write_text("\n" + table.read_text())
    with pytest.raises(TableError, match="start `review` again"):
        made.photo(IDS[3])
    with pytest.raises(TableError, match="expected columns image_id, coupe"):
        service(project)
    table.write_text(f"image_id,{','.join(CLASSES)}\n{IDS[3]},1,2,x,4,5,6\n")
    with pytest.raises(TableError, match="6 probabilities"):
        service(project).photo(IDS[3])


def test_two_sittings_at_once_keep_what_each_skipped(project, page):
    with running(service(project)) as other:
        for number, sitting in enumerate((page, other, page)):
            assert sitting.call(f"/v1/photos/{IDS[number]}/skip", {}).status_code == 200
    assert json.loads((project / "logs" / "review.json").read_text()) == {"skipped": sorted(IDS[:3])}


def test_a_file_that_cannot_be_written_is_said_on_the_page(project, page):
    (project / "logs" / "review.json").mkdir(parents=True)
    found = page.call(f"/v1/photos/{IDS[1]}/skip", {})
    assert found.status_code == 507 and "expected to write the file" in found.json()["detail"]
