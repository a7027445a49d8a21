"""The pipeline killed at random moments; `python -m tests.killing` does it more often."""

import pytest

from tests import killing, small_project


@pytest.mark.skipif(small_project.missing_network() is not None, reason="needs the networks of models/pretrained")
def test_after_kills_at_random_moments_the_hashes_are_those_of_an_uninterrupted_run(tmp_path):
    folder = tmp_path / "project"
    small_project.make(folder)
    result = killing.survive(folder, kills=3, seed=1)
    assert result.killed.total() == 3 and result.equal and all(result.equal), result
