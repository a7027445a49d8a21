import numpy as np
import pytest

from stages.classifiers import applications
from stages.core.errors import UserError
from stages.pretrained import download


def test_weights_are_written_without_pickles(tmp_path, run, monkeypatch, capsys):
    tensors = {"0000 a/kernel": np.arange(6.0).reshape(2, 3), "0001 a/bias": np.zeros(3)}
    monkeypatch.setattr(applications, "pretrained", lambda application: tensors if application.constructor else None)
    run(download, backbone="xception", out=tmp_path / "keras" / "xception.npz")
    with np.load(tmp_path / "keras" / "xception.npz", allow_pickle=False) as archive:
        assert sorted(archive) == sorted(tensors)
        np.testing.assert_array_equal(archive["0000 a/kernel"], tensors["0000 a/kernel"])
    assert capsys.readouterr().out == "download xception: 2 arrays\n"


def test_without_a_connection_nothing_is_written(tmp_path, run, monkeypatch):
    def fail(_application):
        raise UserError("connect once")

    monkeypatch.setattr(applications, "pretrained", fail)
    with pytest.raises(UserError, match="connect once"):
        run(download, backbone="xception", out=tmp_path / "xception.npz")
    assert list(tmp_path.iterdir()) == []
