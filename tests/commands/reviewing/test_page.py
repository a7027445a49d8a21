"""The page in a real browser: photos decided by keyboard, boxes drawn on scaled photos, the width of a phone."""

import asyncio

import pytest

from stages.schemas import corrections
from tests.commands.reviewing import review_project
from tests.commands.reviewing.review_project import IDS, TOKEN, TURNED, running, service
from tests.commands.serving import browser

pytestmark = pytest.mark.skipif(
    browser.CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"
)
NAMED_KEYS = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowRight": 39}


@pytest.fixture
def project(tmp_path):
    return review_project.make(tmp_path)


class Reviewer:
    """Who works with the page in a tab."""

    def __init__(self, tab):
        self.tab = tab

    async def text(self, selector):
        return await self.tab.value(f"document.querySelector('{selector}').textContent")

    async def shows(self, number):
        """Wait until the page shows a photo."""
        await self.tab.wait_for(f"photo !== null && photo.image_id === '{IDS[number]}' && !isBusy")

    async def press(self, *keys):
        for key in keys:
            code = NAMED_KEYS.get(key)
            more = {"windowsVirtualKeyCode": code} if code else {"text": key}
            more |= {"text": "\r"} if key == "Enter" else {}
            await self.tab.call("Input.dispatchKeyEvent", type="keyDown", key=key, **more)
            await self.tab.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def swipe(self, start, end):
        """As `drag`, with a finger."""
        where = "(({x, y, width, height}) => [x, y, width, height])(layer.getBoundingClientRect())"
        x, y, width, height = await self.tab.value(where)
        for kind, shares in (("touchStart", [start]), ("touchMove", [end]), ("touchEnd", [])):
            points = [{"x": x + right * width, "y": y + down * height} for right, down in shares]
            await self.tab.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    async def drag(self, start, end):
        """Draw over the photo, from and to shares of its width and height."""
        where = "(({x, y, width, height}) => [x, y, width, height])(layer.getBoundingClientRect())"
        x, y, width, height = await self.tab.value(where)
        for kind, (right, down) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
            await self.tab.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x + right * width,
                y=y + down * height,
                button="left",
                buttons=1,
                clickCount=1,
            )


def visit(project, profile, steps, width=1280):
    """Do `steps` as a Reviewer on the page of the project's server; return their result."""

    async def go(page, devtools):
        async with browser.tab(devtools) as tab:
            await tab.open(f"{page.address}/#{TOKEN}", width)
            found = await asyncio.wait_for(steps(Reviewer(tab)), 60)
            # Chromium itself notes that a photo has no crop.
            assert [one for one in tab.messages if "404" not in one.get("entry", {}).get("text", "")] == []
            return found

    with running(service(project)) as page, browser.chromium(profile) as devtools:
        return asyncio.run(go(page, devtools))


def written(project):
    frame = corrections.read(project / "data" / "corrections.csv")
    return {(row.image_id, row.kind, row.value) for row in frame.itertuples()}


def test_five_photos_are_decided_by_keyboard(project, tmp_path):
    first, second = sorted([5, 6], key=lambda number: IDS[number])

    async def steps(reviewer):
        await reviewer.shows(0)
        await reviewer.press("2")  # sedan, the second by the mean of the probes
        await reviewer.shows(1)
        await reviewer.press("y")
        await reviewer.shows(first)
        await reviewer.press("x", "L", "i", "m", "Enter")
        await reviewer.shows(second)
        await reviewer.press("u")
        await reviewer.shows(first)
        await reviewer.press("n")
        await reviewer.shows(second)
        await reviewer.press("s")
        await reviewer.shows(3)
        await reviewer.press("d")
        await reviewer.shows(2)
        await reviewer.press("m")
        await reviewer.tab.wait_for("document.querySelectorAll('#decisions li').length === 1 && !isBusy")
        await reviewer.press("ArrowRight")
        await reviewer.shows(4)
        return await reviewer.text("#count")

    assert visit(project, tmp_path / "profile", steps) == "6 of 7 looked at"
    assert written(project) == {
        (IDS[0], "label", "sedan"),
        (IDS[1], "label", "sedan"),
        (IDS[first], "not_a_car", ""),
        (IDS[3], "drop", ""),
        (IDS[2], "no_mask", ""),
    }


@pytest.mark.parametrize("width", [390, 1280])
def test_a_box_is_drawn_on_a_photo_of_any_scale(project, tmp_path, width):
    async def steps(reviewer):
        await reviewer.shows(0)
        await reviewer.press("b")
        await (reviewer.swipe if width == 390 else reviewer.drag)((0.9, 0.8), (0.25, 0.1))
        await reviewer.press("Enter")
        await reviewer.tab.wait_for("photo.decisions.length === 1 && !isBusy")
        await reviewer.tab.value("document.querySelector('#filter').elements.reason.value = 'wrong_prediction'")
        await reviewer.tab.value("document.querySelector('#filter').dispatchEvent(new Event('change'))")
        await reviewer.shows(TURNED)
        await reviewer.press("b")
        await reviewer.drag((-0.5, 0.5), (1, 0.75))  # from outside the photo nothing begins
        await reviewer.drag((0, 0.5), (1.5, 0.75))
        await reviewer.press("Enter")
        await reviewer.tab.wait_for("photo.decisions.length === 1 && !isBusy")
        return await reviewer.tab.value("[document.documentElement.scrollWidth, innerWidth]")

    scroll, inner = visit(project, tmp_path / "profile", steps, width)
    # Of 200 x 100 pixels, and of 100 x 200 once it is upright.
    assert written(project) == {(IDS[0], "box", "50 10 180 80"), (IDS[TURNED], "box", "0 100 100 150")}
    assert scroll <= inner


def test_another_person_s_decision_is_shown_and_not_overwritten(project, tmp_path):
    async def steps(reviewer):
        await reviewer.shows(0)
        row = f"{IDS[0]},label,van,Ben,2024-01-01T00:00:00+00:00,\n"
        (project / "data" / "corrections.csv").write_text(",".join(corrections.COLUMNS) + "\n" + row)
        await reviewer.press("d")
        await reviewer.tab.wait_for("!document.querySelector('#notice').hidden && !isBusy")
        return await reviewer.text("#notice"), await reviewer.text("#decisions")

    async def go(page, devtools):
        async with browser.tab(devtools) as tab:
            await tab.open(f"{page.address}/#{TOKEN}", 1280)
            return await asyncio.wait_for(steps(Reviewer(tab)), 60)

    with running(service(project)) as page, browser.chromium(tmp_path / "profile") as devtools:
        notice, shown = asyncio.run(go(page, devtools))
    assert "label van" in notice and "it is van" in shown and "by Ben" in shown
    assert written(project) == {(IDS[0], "label", "van")}


def test_names_of_buttons_and_pictures_for_screen_readers(project, tmp_path):
    async def steps(reviewer):
        await reviewer.shows(0)
        await reviewer.tab.wait_for("document.querySelector('#mask img').naturalWidth > 0")
        await reviewer.press("?")
        opened = await reviewer.tab.value("document.querySelector('#keys').open")
        tree = (await reviewer.tab.call("Accessibility.getFullAXTree"))["nodes"]
        await reviewer.press("Escape")
        nodes = (await reviewer.tab.call("Accessibility.getFullAXTree"))["nodes"] + tree
        unnamed = [
            node["role"]["value"]
            for node in nodes
            if not node["ignored"]
            and node["role"]["value"]
            in ("button", "combobox", "textbox", "image", "spinbutton", "dialog", "progressbar")
            and not node.get("name", {}).get("value")
        ]
        return opened, unnamed

    assert visit(project, tmp_path / "profile", steps) == (True, [])
