import http.server
import io
import sys
import urllib.parse
import zipfile
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pytest

from stages.images.images import ImageError
from stages.sources import archives, buckets
from stages.sources.store import SourceError, load_many, open_store

ABC_ETAG = "etag:900150983cd24fb0d6963f7d28e17f72"  # the MD5 of b"abc"
ABC = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """Downloaded archives lie below the working directory; files in memory are gone after a test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def put(client, files):
    for key, content in files.items():
        client.put_object(Bucket="cars", Key=key, Body=content)


@pytest.fixture
def requests(monkeypatch):
    """The paths of files that are asked for, one by one, whether for information or content."""
    asked = []
    for name in ("_info", "_cat_file"):
        original = getattr(buckets.fsspec.get_filesystem_class("s3"), name)

        async def count(self, path, *args, original=original, **options):
            asked.append(path)
            return await original(self, path, *args, **options)

        monkeypatch.setattr(buckets.fsspec.get_filesystem_class("s3"), name, count)
    return asked


def test_odd_keys_are_listed_and_read(s3):
    odd = "a b/é+%20&#?.jpg"
    put(s3, {
        "odd/": b"", "odd/a/1.jpg": b"abc", "odd/a/": b"", "odd/empty/": b"", "odd/a//1.jpg": b"x",
        f"odd/{odd}": b"odd",
        "odd/../x.jpg": b"x", "odd/./y.jpg": b"x", "odd/.hidden": b"x", "odd/a/x?versionId=1": b"x", "odd/full/": b"x",
        "odd//z.jpg": b"x", "odder/1.jpg": b"x", "odd/a/none.jpg": b"",
    })  # fmt: skip
    store = open_store("s3://cars/odd")
    assert store.root == "s3://cars/odd"
    assert store.list_files() == [
        ("../x.jpg", "outside"), ("./y.jpg", "bad_name"), ("/z.jpg", "outside"), (odd, ""), ("a//1.jpg", "bad_name"),
        ("a/1.jpg", ""), ("a/none.jpg", ""), ("a/x?versionId=1", "bad_name"), ("empty/", "empty_folder"),
        ("full/", "bad_name"),
    ]  # fmt: skip
    for fresh in (store, open_store("s3://cars/odd/")):
        assert fresh.load("a/1.jpg") == b"abc" and fresh.load(odd) == b"odd" and fresh.load("a/none.jpg") == b""
        assert fresh.version("a/1.jpg") == ABC_ETAG
        for path, reason in {"a": "not_a_file", "a/": "not_a_file", "n.jpg": "missing", "../x.jpg": "outside"}.items():
            for work in (fresh.load, fresh.version):
                with pytest.raises(ImageError, match=reason):
                    work(path)
        with pytest.raises(ImageError, match="changed"):
            fresh.load("a/1.jpg", "0" * 16)
        assert fresh.load("a/1.jpg", "ba7816bf8f01cfea-2") == b"abc"


def test_more_keys_than_a_page_holds_one_request_for_each_file(s3, requests):
    keys = [f"many/{number % 7}/{number:04d}.jpg" for number in range(1500)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: put(s3, {key: key.encode()}), keys))
    store = open_store("s3://cars/many")
    requests.clear()
    files = store.list_files()
    assert [f"many/{path}" for path, _ in files] == sorted(keys)
    assert len({store.version(path) for path, _ in files}) == 1500 and requests == []
    some = [path for path, _ in files[::10]]
    found = list(load_many(store, [(path, None) for path in some]))
    assert found == [(path, f"many/{path}".encode()) for path in some] and len(requests) == 150


def test_a_file_of_too_many_bytes_has_a_reason(s3, monkeypatch, requests):
    put(s3, {"large/1.jpg": b"12345", "large/2.jpg": b"1234"})
    monkeypatch.setattr(buckets, "MAX_BYTES", 4)
    store = open_store("s3://cars/large/")
    with pytest.raises(ImageError, match=r"too_large: s3://cars/large/1\.jpg"):
        store.load("1.jpg")
    store.list_files()
    requests.clear()
    with pytest.raises(ImageError, match=r"too_large: .*5 bytes, at most 4"):
        store.load("1.jpg")
    assert requests == [] and store.load("2.jpg") == b"1234"


def test_a_file_stands_for_its_folder_and_a_name_of_both_is_refused(s3):
    put(s3, {"lists/list.csv": b"path,label\n", "lists/both": b"x", "lists/both/1.jpg": b"x"})
    expected = [("both", ""), ("both/1.jpg", ""), ("list.csv", "")]
    assert open_store("s3://cars/lists/list.csv").list_files() == open_store("S3://cars/lists").list_files() == expected
    with pytest.raises(SourceError, match="found both; write s3://cars/lists/both/ for the folder"):
        open_store("s3://cars/lists/both")
    assert open_store("s3://cars/lists/both/").list_files() == [("1.jpg", "")]


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("s3://nowhere/photos", "cannot open s3://nowhere/photos: no such bucket or file"),
        ("s3://nowhere/photos/", "cannot list s3://nowhere/photos: no such bucket or file"),
        ("s3://cars/none", "cannot open s3://cars/none: no such bucket or file"),
        ("s3://cars/none.zip", "cannot download s3://cars/none.zip: no such bucket or file"),
        ("s3://cars/none.zip/a", "cannot open s3://cars/none.zip: no such bucket or file"),
        ("s3://", "cannot list s3://: "),
        ("nope://x", "cannot open nope://"),
        ("zip://a::s3://cars/x.zip", "expected one URL"),
        ("s3://me:hunter2@cars/x", "without user and password"),
    ],
)
def test_what_cannot_be_opened_is_one_line(source, text):
    with pytest.raises(SourceError, match=text) as caught:
        open_store(source).list_files()
    assert "\n" not in str(caught.value) and "hunter2" not in str(caught.value)


def test_a_scheme_whose_package_is_missing_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(SourceError, match=r"gs://cars/photos: expected the package for gs://, found none: .*gcsfs"):
        open_store("gs://cars/photos")


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return stream.getvalue()


def test_an_archive_in_a_bucket_is_downloaded_once_and_again_when_it_changes(s3):
    put(s3, {"packed/cars.zip": zipped({"a/1.jpg": "abc", "b/2.jpg": "two"})})
    store = open_store("s3://cars/packed/cars.zip")
    assert store.root == "s3://cars/packed/cars.zip" and store.version("a/1.jpg") == ABC
    assert store.list_files() == [("a/1.jpg", ""), ("b/2.jpg", "")] and store.load("b/2.jpg") == b"two"
    (downloaded,) = archives.CACHE.iterdir()
    before = downloaded.stat()
    assert open_store("s3://cars/packed/cars.zip/a").list_files() == [("1.jpg", "")]
    assert downloaded.stat() == before
    put(s3, {"packed/cars.zip": zipped({"a/3.jpg": "abc"})})
    assert open_store("s3://cars/packed/cars.zip").list_files() == [("a/3.jpg", "")]
    put(s3, {"packed/cars.zip": b"no archive"})
    with pytest.raises(SourceError, match=r"^s3://cars/packed/cars\.zip: expected a zip or tar archive"):
        open_store("s3://cars/packed/cars.zip")


def test_an_archive_that_changes_while_it_is_downloaded_is_an_error(s3, monkeypatch):
    put(s3, {"racing/cars.zip": zipped({"a/1.jpg": "abc"})})
    s3fs = buckets.fsspec.get_filesystem_class("s3")
    original = s3fs._get_file

    async def get(self, *args, **options):
        await original(self, *args, **options)
        put(s3, {"racing/cars.zip": b"other"})

    monkeypatch.setattr(s3fs, "_get_file", get)
    with pytest.raises(SourceError, match="changed while it was downloaded"):
        open_store("s3://cars/racing/cars.zip")
    assert list(archives.CACHE.iterdir()) == []


def test_a_folder_named_like_an_archive_is_a_folder(s3):
    put(s3, {"folders/x.zip/a/1.jpg": b"abc"})
    assert open_store("s3://cars/folders/x.zip/a").list_files() == [("1.jpg", "")]


def test_files_in_memory_which_have_no_etag(monkeypatch):
    memory = fsspec.filesystem("memory")
    for path, content in {"/cars/a b/1.jpg": b"abc", "/cars/b/2.jpg": b"", "/cars/.x/3.jpg": b"x"}.items():
        memory.pipe_file(path, content)
    memory.makedirs("/cars/c/d")
    memory.pipe_file("/top.zip", zipped({"a/1.jpg": "abc"}))
    store = open_store("memory://cars")
    assert store.list_files() == [("a b/1.jpg", ""), ("b/2.jpg", ""), ("c/d/", "empty_folder")]
    assert store.version("a b/1.jpg") == ABC and store.load("b/2.jpg") == b""
    assert open_store("memory://").list_files()[0] == ("cars/a b/1.jpg", "")
    assert open_store("memory://top.zip").load("a/1.jpg") == b"abc"
    monkeypatch.setattr(buckets, "_MAX_DEPTH", 2)
    with pytest.raises(SourceError, match="expected at most 2 folders in each other"):
        open_store("memory://").list_files()


def test_an_error_below_the_root_is_not_left_out(monkeypatch):
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/cars/a/1.jpg", b"abc")
    memory.pipe_file("/cars/b/2.jpg", b"abc")
    original = type(memory).ls

    def ls(self, path, **options):
        if path.endswith("/b"):
            raise PermissionError("Forbidden")
        return original(self, path, **options)

    store = open_store("memory://cars")
    monkeypatch.setattr(type(memory), "ls", ls)
    with pytest.raises(SourceError, match=r"cannot list memory://cars: access denied \(Forbidden\)"):
        store.list_files()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Lists the folder `web` below the working directory."""

    def translate_path(self, path):
        return "web" + urllib.parse.unquote(path.partition("?")[0])

    def log_message(self, *arguments):
        pass


def test_folders_on_the_web(tmp_path, serve):
    for name in ("photos/a b/é+%20.jpg", "photos/b/2.jpg", "photos/b/.x", "list.csv"):
        path = tmp_path / "web" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"abc")
    (tmp_path / "web" / "cars.zip").write_bytes(zipped({"a/1.jpg": "abc"}))
    address = serve(QuietHandler)
    store = open_store(f"{address}/photos")
    assert store.list_files() == [("a b/é+%20.jpg", ""), ("b/2.jpg", "")]
    for fresh in (store, open_store(f"{address}/photos/")):
        assert fresh.load("a b/é+%20.jpg") == b"abc" and fresh.version("b/2.jpg") == ABC
        for work in (fresh.load, fresh.version):
            with pytest.raises(ImageError, match="missing"):
                work("b/3.jpg")
    files = dict(open_store(f"{address}/list.csv").list_files())
    assert set(files) == {"cars.zip", "list.csv", "photos/a b/é+%20.jpg", "photos/b/2.jpg"}
    assert open_store(f"{address}/cars.zip/a").load("1.jpg") == b"abc"
    with pytest.raises(SourceError, match="no such bucket or file"):
        open_store(f"{address}/none/").list_files()


def test_a_web_server_that_is_not_there_is_not_a_missing_file():
    with pytest.raises(SourceError, match="the server cannot be reached"):
        open_store("http://127.0.0.1:1/photos")
    for work in (open_store("http://127.0.0.1:1/photos/").load, open_store("http://127.0.0.1:1/photos/").version):
        with pytest.raises(ImageError, match=r"unreadable: .*the server cannot be reached"):
            work("1.jpg")
