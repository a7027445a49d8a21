"""The pipeline killed at random moments; `python -m tests.killing` does it more often."""

import pytest

from tests import killing, small_project


@pytest.mark.skipif(small_project.missing_network() is not None, reason="needs the networks of models/pretrained")
def test_killed_at_random_moments_it_ends_with_the_hashes_of_an_undisturbed_run(tmp_path):
    folder = tmp_path / "project"
    small_project.make(folder)
    found = killing.survive(folder, kills=3, seed=1)
    assert found.killed.total() == 3 and found.equal and all(found.equal), found
