"""README, CONTRIBUTING and docs: length, links, and commands that work as printed."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import small_project
from tests.small_project import run

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?```(?:sh|bash|console)\n(?P<text>.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A block of commands of a page, and why it is not run, or an empty text."""

    page: str
    text: str
    reason: str


def blocks():
    return [
        Block(page.relative_to(ROOT).as_posix(), match["text"], (match["reason"] or "").strip())
        for page in PAGES
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]


def anchors(page):
    """The anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150 and len(text.split()) <= 1300


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_are_valid(page):
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        if target.startswith(("http", "mailto")):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {link}"


def test_every_block_that_is_not_run_has_a_reason():
    assert sum(not block.reason for block in blocks()) >= 8
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"^```(?:sh|bash|console)$", text, re.MULTILINE)) == len(_BLOCK.findall(text)), page


def test_every_stage_is_in_the_table_of_the_readme_and_those_of_students_in_that_of_training():
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/training.md"))
    stages = re.findall(r"^  (\w+):$", (ROOT / "dvc.yaml").read_text(encoding="utf-8").partition("stages:")[2], re.M)
    assert len(stages) > 10
    assert [name for name in stages if not re.search(rf"^\| `{name}(@\w+)?` \|", text, re.MULTILINE)] == []


def test_commands_of_the_pages_work(tmp_path):
    if name := small_project.missing_network():
        pytest.skip(f"needs models/pretrained/{name}: run `dvc repro models/pretrained/dvc.yaml`")
    small_project.make(tmp_path, photos="data/sample/photos")
    run(tmp_path, "dvc", "repro", "-q")
    small_project.commit(tmp_path, "results")
    for block in blocks():
        if not block.reason:
            # In the order of the pages, as a reader runs them; an error names page and command.
            assert run(tmp_path, "bash", "-euxc", block.text) is not None, block
