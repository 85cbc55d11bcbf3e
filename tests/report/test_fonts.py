"""Names in any script are drawn by a font that knows it, where one is installed; Latin text always looks the same."""

import warnings

import pytest

from coresift.report import theme

NAMES = ["数学", "안녕", "plain"]


def drawn(families: tuple[str, ...], names: list[str], monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setattr(theme, "families", lambda: families)
    figure, (axis,) = theme.new_figure(theme.LIGHT, 3, 1)
    axis.set_yticks(range(len(names)), names)
    axis.set_title(names[0])
    return theme.png(figure)


def test_the_first_font_that_knows_a_character_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking: list[str] = []
    monkeypatch.setattr(warnings, "filterwarnings", lambda *args, **kwargs: None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        drawn((theme.FIRST,), NAMES, monkeypatch)
        lacking = [str(each.message) for each in caught if "missing from font" in str(each.message)]
        caught.clear()
        drawn((theme.FIRST, "Last Resort High-Efficiency"), NAMES, monkeypatch)  # knows all of Unicode
        assert not any("missing from font" in str(each.message) for each in caught)
    assert len(lacking) > 0


def test_text_that_the_first_font_knows_looks_the_same_whatever_else_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["plain", "größer", "αβγ"]
    alone = drawn((theme.FIRST,), names, monkeypatch)
    assert drawn((theme.FIRST, "Last Resort High-Efficiency"), names, monkeypatch) == alone


def test_only_fonts_that_are_installed_are_asked_for() -> None:
    from matplotlib.font_manager import fontManager

    found = theme.families()
    assert found[0] == theme.FIRST and set(found) <= {font.name for font in fontManager.ttflist}
    assert list(found[1:]) == [name for name in theme.FURTHER if name in found]
