"""What every method owes its caller, checked for every entry of the table on ordinary, odd and broken pools."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from coresift.coreset import Coreset
from coresift.errors import CoresiftError, SelectionError
from coresift.features.columns import LabelSpec
from coresift.features.importance import ImportanceSpec
from coresift.features.losses import LengthSpec, LossSpec
from coresift.features.memory import InMemoryFeatures
from coresift.features.ratings import RatingSpec
from coresift.features.specs import FeatureSpec, GradientSpec
from coresift.problem import Problem, Selection
from coresift.selection import select
from coresift.selectors import SELECTORS
from coresift.submodular.distances.stored import pairwise

D = 6
ONE_QUESTION = {"prompts": ("{instruction} {response}",)}
SMALL: dict[str, dict[str, Any]] = {
    "brief": {"dim": D, "alpha": 0.4},
    "mint": {"dim": D, "alpha": 0.4},
    "selectit": ONE_QUESTION,
    "dsir": {"sample": "top"},  # draws follow the scale of the weights, as they should: tests/selectors/test_dsir.py
    "delift": {"kernel": "embedding"},  # rows as they come; utilities of pairs: tests/selectors/test_delift.py
}
"""Settings of each method for these tests; a balance is given, so that prefixes are answers for the same balance."""
SEARCHED: dict[str, dict[str, Any]] = {"brief": {"dim": D}, "mint": {"dim": D}, "selectit": ONE_QUESTION}
SEARCHED["delift"] = SMALL["delift"]
METHODS = sorted(set(SELECTORS) - {"full"})  # full has one budget only: tests/selectors/test_baselines.py
NEEDY = [name for name in METHODS if len(SELECTORS[name]().requires) > 0]  # type: ignore[attr-defined]


def method_of(name: str, settings: Mapping[str, dict[str, Any]] = SMALL) -> Any:
    made = SELECTORS[name]
    return made(**settings.get(name, {"dim": D} if "dim" in made.model_fields else {}))


def rows(n: int, seed: int = 0) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.exp(0.6 * torch.randn(n, 1, generator=source)) * torch.randn(n, D, generator=source) + 0.3


def features_of(method: Any, array: torch.Tensor | None = None, n: int = 60) -> InMemoryFeatures | None:
    """Different rows for every space the method asks for, or the same array for all of them."""
    specs: tuple[FeatureSpec, ...] = method.requires
    if len(specs) == 0:
        return None
    arrays = {spec.stored: rows(n, seed) if array is None else array for seed, spec in enumerate(specs)}
    return InMemoryFeatures({spec: fitted(spec, each) for spec, each in arrays.items()})


def fitted(spec: FeatureSpec, array: torch.Tensor) -> torch.Tensor:
    """The array in the form that a spec promises."""
    if isinstance(spec, LossSpec):  # responses easier with their instruction than alone, most of them
        return array[:, 2:3].abs() + (array[:, 1:2].abs() if spec.loss == "knowledge" else 0.0)
    if isinstance(spec, LabelSpec):
        return array.abs()
    if isinstance(spec, LengthSpec | ImportanceSpec):
        return array[:, 2:3].abs()
    return array[:, :5].abs() if isinstance(spec, RatingSpec) else array


def groups_of(n: int) -> list[str]:
    """Groups of many sizes, from one example to half of the pool."""
    return [f"g{n % (place + 1) % 7}" for place in range(n)]


def run(name: str, budget: Any, array: torch.Tensor | None = None, n: int = 60, **settings: Any) -> Any:
    method = method_of(name, settings.pop("settings", SMALL))
    ids = [f"e{place}" for place in range(n if array is None else len(array))]
    return select(method, features_of(method, array, n), budget, ids=ids, groups=groups_of(len(ids)), **settings)


def is_whole_answer(coreset: Coreset, size: int) -> bool:
    """As many picks as asked for, or a reason why not; unique, in range, weights finite and above 0."""
    full = len(coreset) == size or (len(coreset) < size and coreset.diagnostics["shortfall"] != "")
    unique = len(set(coreset.indices.tolist())) == len(coreset)
    return full and unique and bool(np.isfinite(coreset.weights).all()) and bool((coreset.weights > 0).all())


@pytest.mark.parametrize("name", METHODS)
def test_the_same_question_has_the_same_answer_to_the_last_byte(name: str, tmp_path: Any) -> None:
    for turn in ("one", "two"):
        run(name, 9, seed=5, settings=SEARCHED).save(tmp_path / turn)
    assert (tmp_path / "one" / "coreset.npz").read_bytes() == (tmp_path / "two" / "coreset.npz").read_bytes()
    first, second = (Coreset.load(tmp_path / turn) for turn in ("one", "two"))
    assert first.diagnostics == second.diagnostics and is_whole_answer(first, 9)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("size", [1, 2, 7, 59, 60])
def test_every_size_has_an_answer_or_a_stated_shortfall(name: str, size: int) -> None:
    coreset = run(name, size)
    assert is_whole_answer(coreset, size)
    json.dumps(dict(coreset.diagnostics), allow_nan=False)


@pytest.mark.parametrize("name", METHODS)
def test_a_nested_method_gives_prefixes_that_are_its_own_answers(name: str) -> None:
    method = method_of(name)
    features, groups, sizes = features_of(method), groups_of(60), (3, 8)
    problem = Problem(n=60, features=features, seed=1, groups=groups, wanted=lambda order: sizes)
    long: Selection = method.select(problem, 20)
    if not long.nested:
        assert len(long.prefixes) == 0
        return
    for size in sizes:
        alone = method.select(Problem(n=60, features=features, seed=1, groups=groups), size)
        part = long.prefixes[size]
        assert part.indices.tolist() == alone.indices.tolist() == long.indices[:size].tolist()
        assert part.weights.tolist() == alone.weights.tolist()
        assert about_the_picks(part) == about_the_picks(alone)


def about_the_picks(answer: Selection) -> dict[str, Any]:
    """Diagnostics without the record of the search, which was made for one size."""
    return {key: value for key, value in answer.diagnostics.items() if key not in ("trials", "search")}


CERTIFIED = ("brief", "craig", "mint")


@pytest.mark.parametrize("name", METHODS)
def test_a_certificate_says_in_a_sentence_how_much_better_any_subset_can_be(name: str, tmp_path: Any) -> None:
    for size, coreset in zip((7, 12), run(name, [7, 12]), strict=True):
        coreset.save(tmp_path)
        proof = Coreset.load(tmp_path).diagnostics.get("certificate")
        assert (proof is not None) == (name in CERTIFIED)
        if proof is not None:
            percent = float(proof["says"].split(" more than ")[1].split(" %")[0])
            assert proof["says"].startswith(f"No subset of {size} examples can have a sum of distances more than ")
            assert 0 <= percent - 100 * proof["gap"] < 0.1 + 1e-9


@pytest.mark.parametrize("name", CERTIFIED)
def test_how_distances_are_held_is_said_with_the_reason_before_any_is_computed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def compute(*given: Any, label: str, **named: Any) -> Any:
        done.append(f"computed: {label}")
        return pairwise(*given, **named)

    monkeypatch.setattr("coresift.submodular.cover.plan.pairwise", compute)
    coreset = run(name, 7, settings=SEARCHED, say=done.append)
    reason = coreset.diagnostics["distances"]["reason"]
    assert done.index(f"distances: {reason}") < min(
        place for place, line in enumerate(done) if line.startswith("computed") and line.endswith(" distances")
    )
    if name == "mint":
        assert done[0].startswith("distances of the pilot: ") and done[1].endswith("distances of the pilot")


@pytest.mark.parametrize("name", METHODS)
def test_several_budgets_are_answered_in_one_call(name: str) -> None:
    small, large = run(name, [3, "20%"])
    assert is_whole_answer(small, 3) and is_whole_answer(large, 12)
    assert small.indices.tolist() == run(name, 3).indices.tolist()


@pytest.mark.parametrize("name", METHODS)
def test_duplicates_in_triples_are_picked_once_each_at_first(name: str) -> None:
    array = rows(20).repeat_interleave(3, dim=0)
    coreset = run(name, 10, array)
    assert is_whole_answer(coreset, 10)
    may_repeat = (
        "random",
        "balanced-random",
        "tagcos",
        "gradmatch",
        "selectit",
        "deft-ucs",
        *("less", "rds", "bm25", "target-match"),
        *("mig", "dsir", "ifd", "perplexity", "longest", "length-matched"),
    )  # they do not look for variety
    if name not in may_repeat:
        assert len({place // 3 for place in coreset.indices.tolist()}) == len(coreset)


@pytest.mark.parametrize("name", METHODS)
def test_equal_rows_everywhere_have_an_answer(name: str) -> None:
    assert is_whole_answer(run(name, 5, torch.ones(12, D)), 5)


@pytest.mark.parametrize("name", METHODS)
def test_a_pool_of_one_is_its_own_coreset(name: str) -> None:
    coreset = run(name, 1, torch.ones(1, D), settings=SEARCHED)
    assert coreset.indices.tolist() == [0] and coreset.weights.tolist() == pytest.approx([1.0], rel=0.02)


@pytest.mark.parametrize("name", NEEDY)
def test_rows_of_zeros_have_an_answer_or_a_clear_error(name: str) -> None:
    try:
        assert is_whole_answer(run(name, 3, torch.zeros(9, D)), 3)
    except SelectionError as error:
        assert "nothing to match" in str(error) or "nothing to choose from" in str(error)


@pytest.mark.parametrize("name", NEEDY)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_rows_that_are_not_finite_are_refused_by_number(name: str, bad: float) -> None:
    array = rows(20)
    array[7, 2] = bad
    for settings in (SMALL, SEARCHED):
        with pytest.raises(SelectionError, match=r"1 of 20 rows hold NaN or infinity \(rows 7, "):
            run(name, 3, array, settings=settings)


@pytest.mark.parametrize("name", NEEDY)
def test_one_constant_space_leaves_an_answer(name: str) -> None:
    method = method_of(name)
    specs = method.requires
    arrays = {
        spec.stored: fitted(spec, rows(40) if place == 0 else torch.ones(40, D)) for place, spec in enumerate(specs)
    }
    assert is_whole_answer(select(method, InMemoryFeatures(arrays), 6), 6)


@pytest.mark.parametrize("name", NEEDY)
def test_rescaling_all_gradients_changes_nothing(name: str) -> None:
    array = rows(60)
    plain, scaled = (run(name, 9, array * factor) for factor in (1.0, 8.0))
    assert plain.indices.tolist() == scaled.indices.tolist()
    assert plain.weights.tolist() == pytest.approx(scaled.weights.tolist(), rel=1e-5)


@pytest.mark.parametrize("name", NEEDY)
def test_the_first_example_of_the_pool_is_nothing_special(name: str) -> None:
    array = rows(60)
    plain = run(name, 6, array).indices.tolist()
    turned = run(name, 6, array.roll(11, 0)).indices.tolist()
    if name not in ("tagcos", "deft-ucs", "length-matched"):  # they start from seeded positions
        assert [(place - 11) % 60 for place in turned] == plain


@pytest.mark.parametrize("name", NEEDY)
def test_a_missing_array_is_named_before_any_work(name: str) -> None:
    method = method_of(name)
    other = InMemoryFeatures({GradientSpec(loss="response", dim=99): rows(9)})
    with pytest.raises(CoresiftError, match="no array for"):
        select(method, other, 3)


@pytest.mark.parametrize("name", METHODS)
def test_more_picks_than_examples_are_refused(name: str) -> None:
    with pytest.raises(SelectionError, match="the pool has 60 examples"):
        run(name, 61)


@pytest.mark.gpu
@pytest.mark.parametrize("name", NEEDY)
def test_a_gpu_answers_like_a_cpu(name: str) -> None:
    method, array = method_of(name), rows(60)
    here, there = (select(method, features_of(method, each), 9) for each in (array, array.cuda()))
    assert here.indices.tolist() == there.indices.tolist()
