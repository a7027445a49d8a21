import json

import pytest

from stages.commands import bundle_card, bundle_manifest, trained_ensemble
from stages.commands.serving import bundle_description
from stages.commands.serving.limits import ServingLimits
from stages.core.errors import UserError
from stages.core.result_cache import digest_of
from tests.commands import tiny_bundle


def test_a_bundle_has_a_card_in_its_manifest_which_the_server_gives(tmp_path):
    bundle = tiny_bundle.make(tmp_path)
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# Model card: cars in 3 classes\n") and "Classes: red, green, blue \\<b\\>." in card
    assert "| a | 0.750 | tiny | none | removed |" in card and str(tmp_path) not in card
    assert "README.md" in json.loads((bundle / "manifest.json").read_text())["files"]
    files = trained_ensemble.of_bundle(bundle)
    assert bundle_description.describe(files, ServingLimits()).card == card
    (bundle / "README.md").write_text("another")
    with pytest.raises(bundle_manifest.BundleError, match=r"README\.md: expected the SHA-256"):
        trained_ensemble.of_bundle(bundle)


def test_a_file_that_the_manifest_does_not_list_is_not_used(tmp_path):
    bundle = tiny_bundle.make(tmp_path)
    (bundle / "photo.jpg").write_bytes(b"is not read")
    trained_ensemble.of_bundle(bundle)
    (bundle / "novelty.npz").write_bytes(b"would be read")
    with pytest.raises(
        bundle_manifest.BundleError, match=r"novelty\.npz: expected a hash of it in manifest\.json, found"
    ):
        trained_ensemble.of_bundle(bundle)


def test_metrics_of_another_ensemble_are_refused(tmp_path):
    path = tmp_path / "project" / "metrics" / "ensemble" / "details.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"weights": {"a": 0.5, "b": 0.5}}))
    with pytest.raises(UserError, match=r"of the weights a 0\.750, b 0\.250, found those of a 0\.500, b 0\.500; run"):
        tiny_bundle.make(tmp_path)
    assert not (tmp_path / "bundle").exists()


def test_provenance_of_another_lock_does_not_count(tmp_path):
    lock, requirements, path = (tmp_path / name for name in ("dvc.lock", "requirements.lock", "provenance.json"))
    assert bundle_card.read_provenance(path, lock, requirements) is None
    lock.write_text("one")
    requirements.write_text("keras==3.1 \\\n    --hash=sha256:00\nother==1 \\\n    --hash=sha256:00\n")
    path.write_text(json.dumps({"dvc_lock_sha256": digest_of([lock]), "commit": "c0ffee"}))
    found = bundle_card.read_provenance(path, lock, requirements)
    assert found.facts["commit"] == "c0ffee" and found.packages == {"keras": "3.1"}
    lock.write_text("two")
    assert bundle_card.read_provenance(path, lock, requirements) is None
