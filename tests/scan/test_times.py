import numpy as np
import pytest

from stages.scan import patterns, photo_table, times
from stages.scan.rows import LayoutError
from stages.sources.settings import ColumnSettings

DAY = 86400.0


def read(*words):
    return times.read(words, lambda row, text: LayoutError(f"row {row}: {text}")).tolist()


def test_numbers_stay_and_dates_become_seconds():
    assert read("2019", " 2021 ", "-3.5") == [2019.0, 2021.0, -3.5]
    assert read("1970-01-01", "1970-01-03", "1970-01-01T00:01:00") == [0.0, 2 * DAY, 60.0]
    assert read("1970-01", "1970-02") == [0.0, 31 * DAY]
    assert read("1970-01-01 02:00:00+02:00", "1970-01-01T00:00:01Z") == [0.0, 1.0]


def test_blank_ones_are_missing():
    np.testing.assert_array_equal(read("", "5", " "), [np.nan, 5, np.nan])
    assert read() == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("03/04/2021",), "row 0: .*'03/04/2021', which can be day, month, year or month, day, year; write the year"),
        (("3.4.21",), "which can be"),
        (("2021-04-03", "", "2019"), r"row 2: expected a date without a time zone as in '2021-04-03', found a number"),
        (("2021-04-03", "2021-04-03T10:00:00Z"), "row 1: .* found a date with a time zone"),
        (("spring",), "row 0: expected a number or a date such as 2021-04-03, found 'spring'$"),
        (("2021-13-01",), "found '2021-13-01'$"),
        (("nan",), "found 'nan'$"),
        (("1e5",), "found '1e5'$"),
    ],
)
def test_what_has_no_order_or_two_is_refused_with_its_row(words, message):
    with pytest.raises(LayoutError, match=message):
        read(*words)


def table(text, **columns):
    return photo_table.read_table("t.csv", text.encode(), ColumnSettings(**columns))


def test_the_column_of_a_table_is_used_where_it_is_named():
    text = "path,label,taken\na.jpg,x,2020-01-01\nb.jpg,y,\n"
    assert table(text).rows["time"].isna().all() and table(text).unused == ["taken"]
    found = table(text, time="taken")
    assert found.rows["time"].iloc[0] == 18262 * DAY and np.isnan(found.rows["time"].iloc[1]) and found.unused == []
    with pytest.raises(LayoutError, match=r"t\.csv: expected a column `when`, found .*ingest\.columns\.time"):
        table(text, time="when")
    with pytest.raises(LayoutError, match=r"t\.csv: row 3: column `taken`: expected a number or a date"):
        table("path,label,taken\na.jpg,x,2020-01-01\nb.jpg,y,soon\n", time="taken")


def test_boxes_of_one_photo_have_one_time():
    text = "path,label,taken,x_min,y_min,x_max,y_max\na,x,1,0,0,5,5\na,y,{},5,5,9,9\n"
    assert table(text.format(1), time="taken").rows["time"].tolist() == [1, 1]
    with pytest.raises(LayoutError, match="one time for all rows of a path"):
        table(text.format(2), time="taken")


def test_a_folder_can_be_the_time():
    paths = ["2019/car/a.jpg", "2021/van/b.jpg", "notes.txt"]
    rows = patterns.read_pattern(paths, "{time}/{label}/*")
    assert rows["time"].tolist()[:2] == [2019, 2021] and np.isnan(rows["time"].iloc[2])
    assert rows["label"].tolist() == ["car", "van", ""]
    with pytest.raises(LayoutError, match=r"old/car/a\.jpg: \{time\}: expected a number or a date"):
        patterns.read_pattern(["old/car/a.jpg"], "{time}/{label}/*")
