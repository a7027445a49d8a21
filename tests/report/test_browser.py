"""The page in a real browser: no error in its console, filters that filter, and no scrolling sideways on a phone."""

import contextlib
import functools
import http.server
import re
import shutil
import subprocess
import threading

import pytest

from tests.report.test_class_tables import ManyClasses
from tests.report.test_thumbnails import HOSTILE, Page, Project, write_curves

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")

# Shows the page in a frame as wide as a phone, selects the class `a`, and records the result.
FRAME = """<!DOCTYPE html><link rel="icon" href="data:,"><body>
<iframe src="index.html" width="390" height="800"></iframe>
<script>
document.querySelector("iframe").addEventListener("load", (event) => {
  const page = event.target.contentDocument;
  const note = (name, value) => document.body.setAttribute(`data-${name}`, value);
  note("width", page.documentElement.clientWidth);
  note("needed", page.documentElement.scrollWidth);
  const select = page.querySelector("select[name=class]");
  select.value = "a";
  select.dispatchEvent(new Event("change", { bubbles: true }));
  note("shown", page.querySelectorAll("li[data-class]:not([hidden])").length);
  note("hash", event.target.contentWindow.location.hash);
});
</script></body>
"""


@pytest.fixture
def page(tmp_path, run):
    """The folder of a page on eight photos, four of each class, in which names are long and hostile."""
    project = Project(tmp_path, ["train", "train", "val", "val", "test", "test", "test", "test"])
    project.reject(0, "no_vehicle", "ok")
    project.reject(1, "truncated", "failed")
    for row in project.rows[2:4]:
        row["group"] = project.rows[2]["image_id"]
    project.write(n_wrong=2)
    write_curves(project)
    project.render(run)
    return tmp_path / "out"


@contextlib.contextmanager
def serving(folder):
    """Serve a folder; yields its address."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def address(page):
    """Where the folder of the page is served."""
    with serving(page) as found:
        yield found


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def visit(address, profile):
    """The page after its script has run, and the lines of its console."""
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command += ["--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return Page(done.stdout), re.findall(r".*CONSOLE.*", done.stderr)


def cards(page):
    return [attributes for attributes in page.of("li") if "data-class" in attributes]


def test_it_loads_without_console_messages(page, tmp_path):
    loaded, console = visit((page / "index.html").as_uri(), tmp_path / "profile")
    assert console == []
    assert "hidden" not in next(attributes for attributes in loaded.of("form"))
    assert not any("hidden" in attributes for attributes in cards(loaded))


def test_console_messages_are_captured_and_no_other_script_runs(page, tmp_path):
    path = page / "index.html"
    path.write_text(path.read_text(encoding="utf-8").replace("<script>", "<script>//"), encoding="utf-8")
    loaded, console = visit(path.as_uri(), tmp_path / "profile")
    assert "Content Security Policy" in console[0]
    assert "hidden" in next(attributes for attributes in loaded.of("form"))


def test_the_address_sets_the_filters(page, tmp_path):
    loaded, console = visit((page / "index.html").as_uri() + "#split=val&class=a", tmp_path / "profile")
    shown = [attributes for attributes in cards(loaded) if "hidden" not in attributes]
    # The one photo of val and `a`: detections, masks, preprocessing, and a group with another class.
    assert sorted(attributes["data-class"] for attributes in shown) == sorted(["a"] * 3 + [f"{HOSTILE}\na"])
    assert console == []
    assert loaded.says("1 of the 6 shown here match the filter.")


def test_folds_open_for_what_matches(run, tmp_path):
    many = Project(tmp_path / "many", ["train"] * 14)
    many.write()
    many.render(run)
    address = (tmp_path / "many" / "out" / "index.html").as_uri()
    plain, _ = visit(address, tmp_path / "profile")
    filtered, console = visit(f"{address}#class=a", tmp_path / "profile")
    # Boxes, masks and steps hold 14 cards each, two of them folded; the other folds are the lists of boxes.
    assert [len([a for a in loaded.of("details") if "open" in a]) for loaded in (plain, filtered)] == [0, 3]
    assert console == []


def test_an_address_of_no_known_class_filters_nothing(page, tmp_path):
    loaded, console = visit((page / "index.html").as_uri() + "#class=%3Cb%3E", tmp_path / "profile")
    assert console == []
    assert not any("hidden" in attributes for attributes in cards(loaded))


def test_a_phone_needs_no_scrolling_sideways_and_a_choice_is_kept_in_the_address(page, address, tmp_path):
    (page / "frame.html").write_text(FRAME, encoding="utf-8")
    loaded, console = visit(f"{address}/frame.html", tmp_path / "profile")
    body = loaded.of("body")[0]
    assert console == []
    assert 370 <= int(body["data-width"]) <= 390
    assert int(body["data-needed"]) == int(body["data-width"])
    plain, _ = visit((page / "index.html").as_uri(), tmp_path / "profile")
    of_a = [attributes for attributes in cards(plain) if "a" in attributes["data-class"].split("\n")]
    assert 0 < int(body["data-shown"]) == len(of_a) < len(cards(plain))
    assert body["data-hash"] == "#class=a"


SEARCH = """<!DOCTYPE html><link rel="icon" href="data:,"><body>
<iframe src="index.html" width="390" height="800"></iframe>
<script>
document.querySelector("iframe").addEventListener("load", (event) => {
  const page = event.target.contentDocument;
  const note = (name, value) => document.body.setAttribute(`data-${name}`, value);
  const table = page.querySelector("#confusion .rows");
  const box = table.querySelector("input");
  const shown = () => table.querySelectorAll("tr[data-row]:not([hidden])").length;
  const state = () => [shown(), table.querySelector("details").open];
  const type = (text) => {
    box.value = text;
    box.dispatchEvent(new Event("input"));
    return [...state(), table.querySelector(".found").textContent].join();
  };
  note("at-first", [...state(), table.querySelector(".search").hidden].join());
  note("found", type(" CAR 01"));
  note("markup", type("<script"));
  note("emptied", type(""));
  note("width", page.documentElement.scrollWidth - page.documentElement.clientWidth);
});
</script></body>
"""


def test_a_search_shows_the_classes_that_contain_its_text_folded_ones_too(run, tmp_path):
    project = ManyClasses(tmp_path, ["test"] * 196, per_gallery=2)
    project.write(n_wrong=3)
    project.render(run)
    (tmp_path / "out" / "frame.html").write_text(SEARCH, encoding="utf-8")
    with serving(tmp_path / "out") as address:
        loaded, console = visit(f"{address}/frame.html", tmp_path / "profile")
    body = loaded.of("body")[0]
    assert console == []
    assert body["data-at-first"] == "196,false,false" and body["data-found"] == "10,true,10 of 196 classes"
    assert body["data-markup"] == "1,true,1 of 196 classes" and body["data-emptied"] == "196,false,"
    assert body["data-width"] == "0"


MAP = """<!DOCTYPE html><link rel="icon" href="data:,"><body>
<iframe src="index.html" width="390" height="800"></iframe>
<script>
document.querySelector("iframe").addEventListener("load", (event) => {
  const page = event.target.contentDocument;
  const note = (name, value) => document.body.setAttribute(`data-${name}`, value);
  const drawing = page.querySelector(".map svg");
  const press = (key) => drawing.dispatchEvent(new KeyboardEvent("keydown", { key }));
  const text = () => (page.querySelector(".map-note").hidden ? "" : page.querySelector(".map-note p").textContent);
  note("at-first", text());
  press("ArrowRight");
  note("middle", Boolean(text()));
  for (let n = 0; n < 9; n += 1) press("ArrowRight");
  note("right", drawing.querySelector("circle.chosen").getAttribute("cx"));
  press("Escape");
  note("left-out", text());
  const select = page.querySelector("select[name=split]");
  select.value = "val";
  select.dispatchEvent(new Event("change", { bubbles: true }));
  note("dim", drawing.querySelectorAll("circle.dim").length);
  press("ArrowLeft");
  note("val", text());
});
</script></body>
"""


def test_the_map_shows_photos_by_arrow_keys_and_dims_what_filters_leave_out(page, address, tmp_path):
    (page / "frame.html").write_text(MAP, encoding="utf-8")
    loaded, console = visit(f"{address}/frame.html", tmp_path / "profile")
    body = loaded.of("body")[0]
    assert console == [] and body["data-at-first"] == body["data-left-out"] == ""
    assert body["data-middle"] == "true" and body["data-right"] == "984.0"
    # Seven of the eight photos are used, two of them of val.
    assert body["data-dim"] == "5" and re.search(r", val; \d&?\.png", body["data-val"])
