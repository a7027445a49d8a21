from stages.core import stale_files


def write(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x")


def left(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_files_of_unknown_names_are_removed_and_all_others_stay(tmp_path):
    kept = [".gitignore", ".old.0a1b2c3d.csv", "a.csv", "a_distances.csv", "notes.txt", "sub/old.csv"]
    write(tmp_path, *kept, "old.csv", "old_distances.csv")
    removed = stale_files.remove(tmp_path, ["a", "b"], "{}.csv", "{}_distances.csv")
    assert [path.name for path in removed] == ["old.csv", "old_distances.csv"]
    assert left(tmp_path) == kept
    assert stale_files.remove(tmp_path, ["a", "b"], "{}.csv", "{}_distances.csv") == []


def test_folders_of_unknown_names_are_removed_with_their_content(tmp_path):
    write(tmp_path, ".gitignore", "a.json", "a/classes.csv", "old.json", "old/classes.csv")
    removed = stale_files.remove(tmp_path, ["a"], "{}.json", "{}")
    assert [path.name for path in removed] == ["old", "old.json"]
    assert left(tmp_path) == [".gitignore", "a.json", "a/classes.csv"]


def test_of_a_pattern_with_a_folder_only_folders_that_hold_the_file_go(tmp_path):
    write(tmp_path, "a/model.json", "ensemble.json", "old/model.json", "old/model.keras", "pretrained/sources.yaml")
    assert stale_files.remove(tmp_path, ["a"], "{}/model.json") == [tmp_path / "old"]
    assert left(tmp_path) == ["a/model.json", "ensemble.json", "pretrained/sources.yaml"]


def test_of_a_link_the_link_alone_is_removed(tmp_path):
    write(tmp_path, "elsewhere/file.txt")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").symlink_to(tmp_path / "elsewhere")
    stale_files.remove(tmp_path / "folder", [], "{}")
    assert not (tmp_path / "folder" / "old").exists() and left(tmp_path) == ["elsewhere/file.txt"]


def test_a_missing_folder_is_empty(tmp_path):
    assert stale_files.remove(tmp_path / "none", ["a"], "{}.csv") == []


def test_one_line_names_what_was_removed(tmp_path, capsys):
    stale_files.print_removed("audit", [tmp_path / "x.csv", tmp_path / "y"], "model")
    stale_files.print_removed("audit", [], "model")
    assert capsys.readouterr().err.splitlines() == [
        f"audit: removed {tmp_path}/x.csv, {tmp_path}/y: params.yaml names no such model; Git or DVC's cache still has "
        "them"
    ]
