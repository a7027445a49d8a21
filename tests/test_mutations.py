import pytest

from tests import mutations


@pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=lambda mutation: f"{mutation.file}: {mutation.old}")
def test_every_mutation_matches_the_code_in_one_place(mutation):
    text = (mutations.ROOT / "stages" / mutation.file).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1 and mutation.old != mutation.new
    assert (mutations.ROOT / "tests" / mutation.tests).is_file()
