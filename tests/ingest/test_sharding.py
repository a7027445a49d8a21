from collections import Counter

import pandas as pd
import pytest

from stages.ingest import sharding
from stages.ingest.sharding import assign, distribute
from stages.schemas import manifest, shards
from stages.schemas.shards import ONE_SHARD, Assignment


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Shards of at most four photos."""
    monkeypatch.setattr(sharding, "SIZE", 4)


def names(*numbers):
    return [f"{number:02}" for number in sorted(numbers)]


def test_the_first_photos_are_distributed_equally_in_the_order_of_their_ids():
    assert distribute(names(*range(4))) == ONE_SHARD and distribute([]) == ONE_SHARD
    assert distribute(names(*range(9))) == Assignment(["", "03", "06"], {})
    assert assign(names(*range(9)), None, set()) == Assignment(["", "03", "06"], {})


def test_added_photos_fill_the_last_shard_and_then_new_ones():
    first = names(*range(10, 20))
    before = distribute(first)  # 10 11 12 | 13 14 15 | 16 17 18 19
    assert before.starts == ["", "13", "16"]
    both = names(*range(10, 20), 1, 2, 3, 4, 5)
    after = assign(both, before, set(first))
    assert after == Assignment(before.starts, {"01": 3, "02": 3, "03": 3, "04": 3, "05": 4})
    # All photos that were there stay where they were.
    assert [after.number(name) for name in first] == [before.number(name) for name in first]


def test_an_added_photo_that_lies_in_the_last_shard_anyway_is_not_listed():
    first = names(*range(10, 16))  # 10 11 12 | 13 14 15
    before = distribute(first)
    assert assign(names(*range(10, 16), 20), before, set(first)) == before
    assert assign(names(*range(10, 16), 1), before, set(first)).later == {"01": 1}


def test_a_run_from_nothing_agrees_with_those_that_added_photos():
    first = names(*range(20, 40))
    before = distribute(first)
    both = names(*range(20, 40), *range(5))
    after = assign(both, before, set(first))
    assert assign(both, after, set(both)) == after == assign(both, after, set())


def test_removed_photos_leave_their_shards_and_the_list():
    before = Assignment(["", "13"], {"01": 2, "02": 2})
    known = set(names(10, 11, 12, 13, 14, 15, 1, 2))
    assert assign(names(10, 12, 13, 14, 15, 2), before, known) == Assignment(["", "13"], {"02": 2})


@pytest.mark.parametrize(
    ("before", "known", "given"),
    [
        (ONE_SHARD, set(), names(*range(9))),  # one shard of more than twice the size
        (Assignment(["", "01", "02", "03"], {}), set(), names(*range(4))),  # four shards where one is enough
        (ONE_SHARD, set(names(50, 51)), names(*range(4))),  # other photos than before
        (ONE_SHARD, set(names(*range(4))), names(*range(4), *range(10, 15))),  # more added than there were
    ],
)
def test_all_is_distributed_anew_where_the_shards_would_be_bad(before, known, given):
    assert assign(given, before, known) == distribute(given)


def test_usable_photos_of_the_last_manifest_are_known(tmp_path):
    def rows(statuses):
        frame = pd.DataFrame({"image_id": list(statuses), "status": list(statuses.values())})
        return frame.reindex(columns=list(manifest.COLUMNS)).assign(
            width=1, height=1, split="train", **dict.fromkeys(("path", "label", "reason", "note", "phash", "group"), "")
        )

    first = rows({**dict.fromkeys(names(*range(10, 16)), "ok"), "01": "rejected"})
    path, table = tmp_path / "shards.json", tmp_path / "manifest.csv"
    sharding.write_shards(path, table, first)
    assert shards.read(path) == Assignment(["", "13"], {})
    first.to_csv(table, index=False)
    sharding.write_shards(path, table, rows({**dict.fromkeys(names(*range(10, 16)), "ok"), "01": "ok", "": "failed"}))
    assert shards.read(path) == Assignment(["", "13"], {"01": 1})
    # A manifest of another version of the project is as none.
    table.write_text("image_id,status\n")
    sharding.write_shards(path, table, rows(dict.fromkeys(names(*range(10, 16), 2), "ok")))
    assert Counter(map(shards.read(path).number, names(*range(10, 16), 2))) == {0: 4, 1: 3}
