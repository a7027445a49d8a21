from types import SimpleNamespace

import numpy as np
import pytest

from stages.classifiers import pretrained
from stages.core import arrays
from stages.core.errors import UserError


def test_damaged_weights_are_an_error_that_names_the_command(tmp_path):
    model = SimpleNamespace(weights="whole.npz")
    arrays.write(tmp_path / "whole.npz", {"a": np.arange(99.0), "b": np.zeros(3)})
    assert list(pretrained.read(tmp_path, model)) == ["a", "b"]
    content = (tmp_path / "whole.npz").read_bytes()
    model = SimpleNamespace(weights="cut.npz")
    for damaged in (b"", b"text", content[:10], content[:500], content[:-1], content[:300] + b"x" + content[301:]):
        (tmp_path / "cut.npz").write_bytes(damaged)
        with pytest.raises(UserError, match=r"cut\.npz: expected pretrained weights, found a damaged file .* in "):
            pretrained.read(tmp_path, model)
