"""The page of components: in a demo alone, from the style sheet's own tokens, and its text is read on its grounds."""

import re

import pytest

from api.pages import design
from tests.api.conftest import Build
from tests.api.people import Town


def test_every_text_colour_has_contrast_enough_on_its_grounds() -> None:
    found = {each.name: each for each in design.colours()}
    assert set(design.TEXT_ON) <= set(found)
    weak = [
        (name, ground, ratio) for name in design.TEXT_ON for ground, _, ratio in found[name].contrasts if ratio < 4.5
    ]
    assert weak == []
    assert sum(len(each.contrasts) for each in found.values()) == sum(map(len, design.TEXT_ON.values()))


@pytest.mark.parametrize(("one", "other", "ratio"), [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.48)])
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert design.contrast(one, other) == design.contrast(other, one) == pytest.approx(ratio, abs=0.01)


async def test_it_is_there_in_a_demo_and_nowhere_else(build: Build, town: Town) -> None:
    assert (await town.stranger().get("/design")).status_code == 404


async def test_it_shows_every_token_and_icon(build: Build) -> None:
    async with build(demo=True) as town:
        page = (await town.stranger().get("/design")).text
        english = (await town.stranger().get("/design", headers={"Accept-Language": "en"})).text
    for name in design.tokens():
        if name.startswith(("step-", "gap-")) or design.COLOUR.fullmatch(design.tokens()[name]):
            assert name in page, name
    assert len(design.ICONS) > 25
    assert page.count('<svg class="icon"') >= len(design.ICONS)
    # No size or colour is given in a way that the policy of pages refuses.
    assert not re.search(r"\sstyle=", page)
    assert ("颜色" in page, "Colours" in english) == (True, True)
