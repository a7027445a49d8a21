"""The page in a real browser: photos chosen as a user does, hostile names, a token, the width of a phone."""

import asyncio
import json
import shutil

import pytest

from stages.commands import bundle_manifest, trained_ensemble
from stages.commands.serving.limits import ServingLimits
from stages.novelty import detector
from stages.novelty.detector import ModelScore, NoveltyDetector
from tests import hostile
from tests.commands import tiny_bundle
from tests.commands.serving import browser
from tests.commands.serving.running import running

pytestmark = pytest.mark.skipif(
    browser.CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"
)
NAME = "<img src=x onerror=alert(1)>.jpg"
TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return trained_ensemble.of_bundle(tiny_bundle.make(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def photos(tmp_path):
    """A photo with a hostile name, one that cannot be used, and a third in a format that browsers do not show."""
    contents = {NAME: "jpg", "half.jpg": "jpg", "scan.tif": "tif"}
    for number, (name, kind) in enumerate(contents.items()):
        content = hostile.saved(hostile.picture(number, 320, 240), kind)
        (tmp_path / name).write_bytes(content[: len(content) // 2] if name == "half.jpg" else content)
    return [tmp_path / name for name in contents]


def visit(files, profile, steps, token=""):
    """Do `steps` in a tab on the page of a server; return their result and the console's messages."""

    async def go(client, devtools):
        async with browser.tab(devtools) as tab:
            await tab.open(f"{client.address}/", 390)
            return await asyncio.wait_for(steps(tab), 60), tab.messages

    with running(files.load(), files, ServingLimits(), token) as client, browser.chromium(profile) as devtools:
        return asyncio.run(go(client, devtools))


CARDS = "[...document.querySelectorAll('#results > li')]"


def test_photos_have_their_classes_and_reasons(files, photos, tmp_path):
    async def steps(tab):
        await tab.choose("#files", *photos)
        await tab.wait_for(f"{CARDS}.length === 3 && {CARDS}.every((card) => card.querySelector('.images'))")
        await tab.wait_for("document.querySelector('.missing') !== null")
        return {
            "titles": await tab.value(f"{CARDS}.map((card) => card.querySelector('.title').textContent)"),
            "labels": await tab.value(f"{CARDS}.map((card) => card.querySelectorAll('meter').length)"),
            "first": await tab.value("document.querySelector('.first + meter + data').value"),
            "shown": await tab.value("[...document.querySelectorAll('.shown img')].map((image) => image.complete)"),
            "reason": await tab.value("document.querySelector('.reason').textContent"),
            "widths": await tab.value("[document.documentElement.scrollWidth, document.documentElement.clientWidth]"),
        }

    found, messages = visit(files, tmp_path / "profile", steps)
    assert messages == [] and found["titles"] == [NAME, "half.jpg truncated", "scan.tif"]
    assert found["labels"] == [3, 0, 3] and 0.33 < float(found["first"]) < 1 and found["shown"] == [True] * 4
    assert found["reason"].startswith("The image begins well") and found["widths"][0] == found["widths"][1] == 390


def test_an_unknown_and_unsure_photo_says_so(files, photos, tmp_path):
    async def steps(tab):
        await tab.choose("#files", photos[0])
        await tab.wait_for(f"{CARDS}.length === 1 && {CARDS}.every((card) => card.querySelector('.images'))")
        badges = await tab.value("[...document.querySelectorAll('.badge')].map((badge) => badge.textContent)")
        return badges, await tab.value("document.querySelector('#results .soft').textContent")

    marking = tmp_path / "marking"
    shutil.copytree(files.folder, marking)
    members = {name: {"energy": ModelScore({}, 0.0, 1.0)} for name in files.models()}
    detector.write(marking / "novelty.npz", NoveltyDetector(members, -1e9))
    record = json.loads((marking / "ensemble.json").read_text(encoding="utf-8"))
    # No threshold promises what is asked for, so that all are unsure.
    record["abstain"] = {"threshold": None}
    (marking / "ensemble.json").write_text(json.dumps(record), encoding="utf-8")
    bundle_manifest.write(marking)
    (badges, text), messages = visit(trained_ensemble.of_bundle(marking), tmp_path / "profile", steps)
    assert messages == [] and badges == ["unknown", "unsure"]
    assert "resembles those of no class" in text and "ensemble.abstain" in text


def test_a_heat_map_is_shown_where_the_switch_is_on(files, photos, tmp_path):
    async def steps(tab):
        await tab.choose("#files", photos[0])
        await tab.wait_for("document.querySelectorAll('meter').length === 3")
        before = await tab.value("document.querySelectorAll('.shown').length")
        await tab.value("document.querySelector('#explain').click()")
        await tab.choose("#files", photos[0])
        await tab.wait_for("document.querySelectorAll('meter').length === 6")
        last = "document.querySelector('#results > li:last-child .shown:last-child"
        caption = await tab.value(f"{last} figcaption').textContent")
        await tab.wait_for(f"{last} img').complete")
        return before, caption, await tab.value(f"{last} img').naturalWidth")

    (before, caption, width), messages = visit(files, tmp_path / "profile", steps)
    assert messages == [] and before == 2 and width == 320
    assert caption.removeprefix("where the models looked for ") in tiny_bundle.CLASSES


def test_the_page_asks_for_the_token(files, photos, tmp_path):
    async def steps(tab):
        await tab.choose("#camera", photos[0])
        for token in ("wrong", TOKEN):
            await tab.wait_for("!document.querySelector('#access').hidden")
            await tab.value(f"document.querySelector('#token').value = '{token}'")
            await tab.value("document.querySelector('#form').requestSubmit()")
        await tab.wait_for("document.querySelectorAll('meter').length === 3")
        await tab.value("document.querySelector('#clear').click()")
        return await tab.value(f"{CARDS}.length")

    found, messages = visit(files, tmp_path / "profile", steps, TOKEN)
    # Chromium itself notes each answer 401, and nothing else.
    assert found == 0 and ["401" in message["entry"]["text"] for message in messages] == [True, True]


def test_the_model_card_is_shown_and_asks_for_the_token(files, tmp_path):
    async def steps(tab):
        texts = []
        for token in ("", TOKEN):
            await tab.value(f"document.querySelector('#token').value = '{token}'")
            await tab.value("document.querySelector('#form').requestSubmit()")
            await tab.value("document.querySelector('#card summary').click()")
            shown = "#card-text').textContent !== ''" if token else "#access').hidden === false"
            await tab.wait_for(f"document.querySelector('{shown}")
            texts.append(await tab.value("document.querySelector('#card-text').textContent"))
        return texts

    carded = tmp_path / "carded"
    shutil.copytree(files.folder, carded)
    text = "# Model card\n\n<b>bold</b> only in Markdown\n"
    (carded / bundle_manifest.CARD).write_text(text, encoding="utf-8")
    bundle_manifest.write(carded)
    texts, messages = visit(trained_ensemble.of_bundle(carded), tmp_path / "profile", steps, TOKEN)
    assert texts == ["", text] and ["401" in message["entry"]["text"] for message in messages] == [True]
