import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from report_views import bare_view, full_view

from coresift.report import page as page_module
from coresift.report import theme, words
from coresift.report.figures import FIGURES
from coresift.report.page import write_report

SECTIONS = ["top", "scores", "examples", "picks", "sources", "lengths", "weights", "search", "trade-off", "spaces",
            "certificate", "gradients", "costs", "left-out", "pool", "settings"]  # fmt: skip
NASTY = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "<!--<script>",
    "line\u2028and\u2029paragraph",
    "{{ 7*7 }}{% raw %}",
    "&lt;b&gt; ]]> \x00 \u202e",
    "cost $5 and $x^{$",
]


class Page(HTMLParser):
    """Collects elements, attributes and the text of scripts."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.scripts: list[tuple[dict, str]] = []
        self.words = ""
        self._inside: str | None = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._inside = tag if tag in ("script", "style") else self._inside
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self._inside = None if tag == self._inside else self._inside

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self._inside is None:
            self.words += data


def page_of(view, folder) -> Page:
    return Page(write_report(view, folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return folder, page_of(full_view(n=600, k=30), folder)


@pytest.fixture
def quick(monkeypatch):
    """Coarse figures, light ones only: drawing is most of the time of a page."""

    def draw_light(view):
        figures = {name: figure(view, theme.LIGHT) for name, figure in FIGURES.items()}
        return {name: (theme.png(figure), b"") for name, figure in figures.items() if figure is not None}

    monkeypatch.setattr(theme, "DOTS_PER_INCH", 40)
    monkeypatch.setattr(page_module, "draw", draw_light)


def nasty_view():
    n, k = len(NASTY) * 4, 6
    view = full_view(n=n, k=k)
    texts = (NASTY * 4)[:n]
    return replace(
        view,
        name=NASTY[0],
        texts=texts,
        ids=[f"{i}{text}" for i, text in enumerate(texts)],
        example_sources=texts,
        notes=NASTY,
        settings={text: {text: text} for text in NASTY},
        origins={f"{text}.{text}": text for text in NASTY},
        scores=[{**view.scores[0], "name": text} for text in NASTY],
        costs=[{"stage": text, "seconds": 1.0} for text in NASTY],
        pool={**view.pool, "excluded": [{"id": t, "reason": t} for t in NASTY], "fingerprint": NASTY[1]},
        coreset={**view.coreset, "ids": [f"{p}{texts[p]}" for p in view.indices], "provenance": {NASTY[1]: NASTY[1]}},
        budget=NASTY[1],
        method=NASTY[1],
    )


def test_a_full_run_has_every_section_and_the_contents_point_at_them(full):
    _, page = full
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert set(SECTIONS) <= set(ids) and len(ids) == len(set(ids))
    links = [value for tag, name, value in page.attributes if tag == "a" and name == "href"]
    targets = [link for link in links if not link.startswith("data:")]
    assert targets and all(target.startswith("#") and target[1:] in ids for target in targets)
    assert "Not in this run: 1 section" in page.words  # a run of BRIEF is no training in rounds


def test_every_figure_is_a_png_beside_the_page_and_embedded_in_it_with_a_description(full):
    folder, page = full
    drawn = set(FIGURES) - {"plateau", "arms", "rounds"}  # figures of MINT and LEAD, and this is a run of BRIEF
    assert {path.name for path in folder.iterdir()} == {
        "index.html",
        *(f"{name}.{kind}" for name in drawn for kind in ("png", "csv")),
    }
    assert all(path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n") for path in folder.glob("*.png"))
    embedded = [value for tag, name, value in page.attributes if tag == "img" and name == "src"]
    assert len(embedded) == len(drawn)
    light = {base64.b64encode(path.read_bytes()).decode() for path in folder.glob("*.png")}
    assert {uri.removeprefix("data:image/png;base64,") for uri in embedded} == light
    assert all(value for tag, name, value in page.attributes if tag == "img" and name == "alt")


def test_the_page_asks_for_nothing_outside_itself(full):
    folder, page = full
    for tag, name, value in page.attributes:
        if name in ("src", "href", "srcset", "action", "data", "poster"):
            assert value.startswith(("data:image/png;base64,", "data:text/csv;base64,", "#")), (tag, name)
    html = (folder / "index.html").read_text()
    assert not re.search(r"url\(|@import|https?:|[\"'(]//", html)
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(page.tags)


def test_the_policy_allows_only_the_script_that_is_there(full):
    _, page = full
    policy = next(value for tag, name, value in page.attributes if name == "content" and "default-src" in value)
    (_, own) = page.scripts[-1]
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "img-src data:" in policy and "unsafe-eval" not in policy
    assert policy.count("unsafe-inline") == 1 and "style-src 'unsafe-inline'" in policy


def test_the_same_run_gives_the_same_bytes(full, tmp_path):
    folder, _ = full
    write_report(full_view(n=600, k=30), tmp_path)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_pool_text_never_becomes_markup_and_comes_back_unchanged(tmp_path, quick):
    view = nasty_view()
    page, plain = page_of(view, tmp_path / "nasty"), page_of(full_view(n=36, k=6), tmp_path / "plain")
    assert len(page.scripts) == 3 and page.tags.count("script") == 3
    assert page.scripts[2] == plain.scripts[2]
    assert set(page.tags) <= set(plain.tags) | {"strong"} and page.tags.count("img") <= plain.tags.count("img")
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    settings, block = page.scripts[0]
    assert settings == {"type": "application/json", "id": "scatter-data"}
    data = json.loads(block)
    assert not set(block) & set("<>&\u2028\u2029")
    assert sorted(data["texts"]) == sorted(view.texts) and sorted(data["ids"]) == sorted(view.ids)
    assert page.scripts[1][0] == {"type": "application/json", "id": "picks-data"}
    assert [pick["text"] for pick in json.loads(page.scripts[1][1])] == [view.texts[at] for at in view.indices]
    assert not set(page.scripts[1][1]) & set("<>&\u2028\u2029")
    assert "alert(1)" in page.words and "{{ 7*7 }}" in page.words


def test_half_a_character_does_not_stop_the_page(tmp_path, quick):
    texts = ["\ud800"] * 10
    page = page_of(bare_view(texts=texts, example_sources=[*texts[:5], *"abcde"], notes=texts), tmp_path)
    assert "?" in page.words


def scaled(view):
    return replace(view, coreset={**view.coreset, "provenance": {"settings": {"unit_norm": True}}})


def fixed_alpha(view):
    diagnostics = {**view.diagnostics, "alpha": 0.5, "alpha_mode": "fixed"}
    return replace(view, trials=view.trials[:1], coreset={**view.coreset, "diagnostics": diagnostics})


SMALL = full_view(n=80, k=8)
VARIANTS = {
    "bare": (bare_view(), "The method random searches no α."),
    "fixed alpha": (fixed_alpha(SMALL), "α was fixed at 0.500, so nothing was searched."),
    "one trial": (replace(SMALL, trials=SMALL.trials[:1]), "there is no curve and no trade-off to draw"),
    "nothing trained": (replace(SMALL, scores=(), weighting=None), "Nothing was trained or evaluated"),
    "no spaces": (replace(SMALL, spaces={}), "There is nothing to draw"),
    "one space": (replace(SMALL, spaces={"knowledge": SMALL.spaces["knowledge"]}), "knowledge gradients"),
    "empty spaces": (replace(SMALL, spaces={"knowledge": np.zeros((0, 2))}), "There is nothing to draw"),
    "all NaN": (replace(SMALL, spaces={"knowledge": np.full((80, 2), np.nan)}), "There is nothing to draw"),
    "one spot": (replace(SMALL, spaces={"knowledge": np.zeros((80, 2))}), "knowledge gradients"),
    "one source": (replace(SMALL, example_sources=["only"] * 80), "All examples come from one source, only."),
    "no texts": (replace(SMALL, texts=(), ids=(), example_sources=()), "The sources of the examples are not known."),
    "no lengths": (replace(SMALL, pool={"n": 80}), "Response lengths are not known."),
    "equal lengths": (replace(SMALL, pool={"n": 80, "lengths": [7] * 80}), "Each of the three adds up to 100 %."),
    "scaled": (scaled(SMALL), "the distances bound nothing here"),
    "no costs": (replace(SMALL, costs=()), "No costs were recorded."),
    "loss only": (replace(SMALL, scores=[{**s, "accuracy": None} for s in SMALL.scores]), "held-out loss"),
    "empty scores": (replace(SMALL, scores=[{"name": "a", "accuracy": {"all": None}}]), "trained on"),
    "unmeasured": (replace(SMALL, scores=[{"name": "a"}, {"name": "b", "accuracy": None}]), "trained on"),
    "no errors": (replace(SMALL, coreset={**SMALL.coreset, "diagnostics": {}}), "This run has no certificate"),
    "everything": (bare_view(method="full", coreset={"indices": [*range(10)], "weights": [1.0] * 10}), "were kept"),
    "nothing": (bare_view(coreset={"indices": [], "ids": [], "weights": []}), "there are no weights"),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_a_missing_piece_is_said_and_never_stops_the_page(name, tmp_path, quick):
    view, expected = VARIANTS[name]
    page = page_of(view, tmp_path)
    assert expected in " ".join(page.words.split())
    assert set(SECTIONS) - {"trade-off"} <= {value for _, key, value in page.attributes if key == "id"}


def text_of(view, folder) -> str:
    return " ".join(page_of(view, folder).words.split())


def told(view, **diagnostics):
    return replace(view, coreset={**view.coreset, "diagnostics": {**view.diagnostics, **diagnostics}})


def test_the_page_says_how_much_better_any_subset_can_be(tmp_path, quick):
    text = text_of(told(SMALL, certificate={"error": 110.0, "lower_bound": 100.0, "gap": 1 - 100 / 110}), tmp_path)
    assert "No subset of 8 examples can have a sum of distances more than 9.1 % below that of this one." in text
    assert "(1 − α) × knowledge distance + α × following distance, at the α used, summed over the pool." in text
    assert "Stochastic greedy" not in text


PROOF = {"certificate": {"error": 110.0, "lower_bound": 100.0, "gap": 1 - 100 / 110}}
SUMMED = {
    "craig": (
        {**PROOF, "B_SFT": 110.0},
        "nearest pick, between knowledge gradients, summed over the pool. The statement holds for this pool and these "
        "gradients; it says",
    ),
    "mint": (
        {**PROOF, "coefficients": [0.5, 0.0, 2.0]},
        "nearest pick, 0.5 × response distance + 2 × following distance, summed over the pool. The statement holds for "
        "this pool, these gradients and these coefficients; it says",
    ),
}


@pytest.mark.parametrize("method", SUMMED)
def test_a_certificate_without_an_alpha_speaks_of_none(method, tmp_path, quick):
    facts, expected = SUMMED[method]
    coreset = {**SMALL.coreset, "diagnostics": facts, "provenance": {"settings": {"loss": "knowledge"}}}
    text = text_of(replace(SMALL, method=method, trials=(), coreset=coreset), tmp_path)
    assert expected in text and "the α used" not in text and "this α" not in text


def test_a_precision_finer_than_the_pool_resolves_is_said_on_the_page(tmp_path, quick):
    search = {"precision": 0.005, "tolerance": 0.001, "flat": [0.4, 0.6]}
    said = "Every α tried from 0.400 to 0.600 is as good within 0.1 %: a precision of 0.005 is finer than the pool"
    assert said in text_of(told(SMALL, search=search), tmp_path)
    assert "is as good within" not in text_of(told(SMALL, search={**search, "precision": 0.2}), tmp_path)
    plateau = {"method": "plateau", "pilot": 9, "sigma": 0.5, "found": True}
    assert "is as good within" not in text_of(told(SMALL, search=plateau, alpha_mode="plateau"), tmp_path)


def test_stochastic_picks_are_said_to_be_so_with_their_guarantee(tmp_path, quick):
    text = text_of(told(SMALL, stochastic={"epsilon": 0.05, "size": 8}), tmp_path)
    assert "Stochastic greedy: at any one α, in expectation at least 1 − 1/e − ε = 58.2 % of the best value" in text


def test_examples_that_no_pick_stands_for_are_counted_beside_the_weights(tmp_path, quick):
    said = "The weight of a pick is the number of candidates it stands for."
    assert f"{said} No pick stands for 12 of 80, which" in text_of(told(SMALL, unrepresented=12), tmp_path)
    assert "No pick stands for" not in text_of(told(SMALL, unrepresented=0), tmp_path)


def test_weights_of_rounds_count_uses(tmp_path, quick):
    weights = words.weighed(replace(SMALL, rounds=[{"round": 0}]))
    assert weights == "The weight of a pick is the number of rounds that trained on it."


def test_scaled_picks_without_a_bound_are_told_from_real_errors(tmp_path, quick):
    coreset = {**SMALL.coreset, "diagnostics": {"e_SFT": 3.0}, "provenance": {"settings": {"norm_power": 0.5}}}
    text = text_of(replace(SMALL, method="gradmatch", coreset=coreset), tmp_path)
    assert "Picks were made on scaled gradients" in text and "bound nothing" not in text and "at most A" not in text


def test_an_epsilon_that_is_not_met_is_said_at_the_top(tmp_path, quick):
    cover = {"epsilon": 0.1, "limit": 40.0, "met": False, "picks": 8}
    said = "An ε of 0.1 is not met: with 8 picks the covering error is 55, and it allows 40. A larger budget comes"
    assert said in text_of(told(SMALL, cover=cover, B_SFT=55.0), tmp_path)
    assert "is not met" not in text_of(told(SMALL, cover={**cover, "met": True}, B_SFT=39.0), tmp_path)


def test_unweighted_training_is_said_at_the_top(tmp_path, quick):
    page = page_of(replace(SMALL, weighting="none"), tmp_path)
    assert "The final training was unweighted: every pick counts the same" in page.words


def test_a_large_pool_says_that_its_chart_is_thinned(tmp_path, quick):
    page = page_of(full_view(n=20_000, k=1000), tmp_path)
    assert "of 19,000 examples that were not chosen, 4,000 are drawn" in page.words
    assert len(json.loads(page.scripts[0][1])["ids"]) == 5000


def test_names_in_other_scripts_and_with_dollars_are_drawn_without_a_warning(tmp_path, recwarn, quick):
    sources = ["数学", "$x_{$", "emoji 🎈", "a" * 80] * 20
    page_of(replace(SMALL, example_sources=sources), tmp_path)
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


def test_tables_name_their_rows_and_columns(full):
    _, page = full
    scopes = [value for tag, name, value in page.attributes if tag == "th" and name == "scope"]
    assert len(scopes) == page.tags.count("th") and {"row", "col", "colgroup", "rowgroup"} == set(scopes)
