"""The one door to selection: resolve the budget, run the method, check its answer, stamp where it came from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any, overload

import numpy as np
from pydantic import BaseModel

from coresift.budget import Budget
from coresift.claims import with_claims
from coresift.coreset import Coreset, check_answer
from coresift.errors import SelectionError, SettingsError
from coresift.features.base import Features
from coresift.lazy import torch
from coresift.memory import fitting, parse_memory
from coresift.problem import Problem, Say, Selection, Selector
from coresift.savepoints import Nowhere, Savepoints

BudgetLike = int | float | str | Budget
MARGIN = 1.1
"""How many more picks than a token budget seems to hold are made at first, so that one run is nearly always enough."""


@overload
def select(
    selector: Selector,
    features: Features | None,
    budget: BudgetLike,
    *,
    ids: Sequence[str] | None = ...,
    tokens: Sequence[int] | np.ndarray | None = ...,
    groups: Sequence[str] | None = ...,
    subtasks: Sequence[str] | None = ...,
    seed: int = ...,
    memory: str = ...,
    device: str | None = ...,
    savepoints: Savepoints | None = ...,
    say: Say = ...,
    provenance: Mapping[str, Any] | None = ...,
) -> Coreset: ...
@overload
def select(
    selector: Selector,
    features: Features | None,
    budget: list[BudgetLike] | tuple[BudgetLike, ...],
    *,
    ids: Sequence[str] | None = ...,
    tokens: Sequence[int] | np.ndarray | None = ...,
    groups: Sequence[str] | None = ...,
    subtasks: Sequence[str] | None = ...,
    seed: int = ...,
    memory: str = ...,
    device: str | None = ...,
    savepoints: Savepoints | None = ...,
    say: Say = ...,
    provenance: Mapping[str, Any] | None = ...,
) -> list[Coreset]: ...
@fitting("Lower memory (--memory 1GB; in Python memory='1GB'), or choose from fewer examples (pool.examples).")
def select(
    selector: Selector,
    features: Features | None,
    budget: BudgetLike | list[BudgetLike] | tuple[BudgetLike, ...],
    *,
    ids: Sequence[str] | None = None,
    tokens: Sequence[int] | np.ndarray | None = None,
    groups: Sequence[str] | None = None,
    subtasks: Sequence[str] | None = None,
    seed: int = 0,
    memory: str = "auto",
    device: str | None = None,
    savepoints: Savepoints | None = None,
    say: Say = lambda line: None,
    provenance: Mapping[str, Any] | None = None,
) -> Coreset | list[Coreset]:
    """Choose a weighted subset of a pool.

    Several budgets are answered from one run at the largest of them: a smaller coreset is a prefix of the order of
    picks with its weights counted again (a method that is not nested is run once per budget). A token budget is the
    largest prefix whose tokens fit; a nested method is run with a few more picks than seem to fit, and with more again
    if they all did. A method that cannot use as many picks as asked for gives fewer and says why under
    `diagnostics["shortfall"]`.

    Args:
        selector: The method with its settings.
        features: Arrays for `selector.requires`; may be None for a method that requires none.
        budget: Count, fraction of the pool, `'5%'`, `'20000 tokens'`, or a list of them.
        ids: Example ids in pool order; positions as text when None.
        tokens: Tokens per example, needed for token budgets.
        groups: The group of every example, such as its source, for methods that share the budget among groups.
        subtasks: The sub-task of every target example, for methods with a target; all are one sub-task when None.
        seed: Root of random choices.
        memory: What selecting may use beyond the features, such as '3GB'; auto for most of what is free. Methods that
            look at all distances hold them accordingly and say how under `diagnostics["distances"]`.
        device: Where distances between examples are computed, such as `cuda`: BRIEF, MINT and CRAIG keep the features
            where they are and a copy there, and `memory` is that device's. Where the features are when None.
        savepoints: Where work of hours is saved, so that a killed selection goes on; nowhere by default.
        say: Told what is about to be done and why, such as how distances are held; silence by default.
        provenance: Facts to stamp on the coreset besides the method's own, for example `fingerprints`.

    Returns:
        One coreset, or a list in the order of `budget` if that is a list.

    Raises:
        SettingsError: If a budget or the memory is not understood.
        SelectionError: If the method is none, or budget, features, ids and method do not fit together.
        MemoryShortError: If the memory of this machine does not suffice all the same.
    """
    _refuse_no_method(selector)
    _refuse_no_features(features)
    many = isinstance(budget, list | tuple)
    budgets = [Budget.parse(value) for value in (budget if isinstance(budget, list | tuple) else [budget])]
    if len(budgets) == 0:
        raise SelectionError("no budgets given. Pass at least one.")
    n = _pool_size(features, ids)
    names = _names(ids, n)
    lengths = _lengths(tokens, n, needed=any(each.kind == "tokens" for each in budgets))
    room, there = _room(memory), None if device is None else _device(device)
    problem = Problem(
        n=n,
        features=features,
        seed=seed,
        memory=room,
        device=there,
        savepoints=savepoints or Nowhere(),
        say=say,
        groups=_groups(groups, n),
        subtasks=subtasks,
    )
    began = time.perf_counter()
    answers = _answers(selector, problem, budgets, lengths)
    stamp = {**_stamp(selector, seed, n), **(provenance or {}), "seconds": round(time.perf_counter() - began, 3)}
    coresets = [
        _coreset(answer, names, {**stamp, "budget": str(each)}) for answer, each in zip(answers, budgets, strict=True)
    ]
    return _with_prefixes(coresets) if many else coresets[0]


def _refuse_no_method(selector: object) -> None:
    if isinstance(selector, type) or not isinstance(selector, Selector):
        raise SelectionError(f"{selector!r} is no selection method. Pass one with its settings, such as Brief().")


def _room(memory: str) -> int | None:
    """Bytes, or None for most of what is free."""
    if not isinstance(memory, str):
        raise SettingsError(f"memory is {memory!r}. Pass text with a unit, such as memory='150MB', or 'auto'.")
    return parse_memory(memory)


def _refuse_no_features(features: object) -> None:
    if features is not None and not isinstance(features, Features):
        raise SelectionError(
            f"features are a {type(features).__name__}. Pass InMemoryFeatures({{spec: array}}), with the specs of "
            "method.requires, or a store of features."
        )


def _names(ids: Sequence[str] | None, n: int) -> tuple[str, ...]:
    names = tuple(map(str, range(n))) if ids is None else tuple(ids)
    if len(set(names)) < n:
        id, times = Counter(names).most_common(1)[0]
        raise SelectionError(f"the id {id!r} comes {times} times. Ids name examples: pass one of its own for each.")
    return names


def _pool_size(features: Features | None, ids: Sequence[str] | None) -> int:
    if features is None and ids is None:
        raise SelectionError("neither features nor ids given: the size of the pool is unknown. Pass one of them.")
    if features is None:
        n = len(ids or ())
    elif ids is not None and len(ids) != features.n:
        raise SelectionError(
            f"{len(ids)} ids for features of {features.n} rows. Features and ids describe the same pool."
        )
    else:
        n = features.n
    if n == 0:
        raise SelectionError("the pool is empty. Selection needs at least one example.")
    return n


def _lengths(tokens: Sequence[int] | np.ndarray | None, n: int, *, needed: bool) -> np.ndarray | None:
    if tokens is None:
        if needed:
            raise SelectionError(
                "a token budget needs the tokens of every example. Pass tokens=, or a count or fraction."
            )
        return None
    lengths = np.asarray(tokens)
    if lengths.shape != (n,):
        raise SelectionError(f"tokens of shape {lengths.shape} for {n} examples. Pass one number per example.")
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(bad) > 0:
        raise SelectionError(f"tokens[{bad[0]}] is {lengths[bad[0]]}. Every example has at least one token.")
    return lengths.astype(np.int64)


def _groups(groups: Sequence[str] | None, n: int) -> Sequence[str] | None:
    if groups is not None and len(groups) != n:
        raise SelectionError(f"{len(groups)} groups for {n} examples. Pass one label per example.")
    return groups


def _answers(
    selector: Selector, problem: Problem, budgets: list[Budget], lengths: np.ndarray | None
) -> list[Selection]:
    """One answer per budget, from as few runs of the method as possible."""

    def sizes(order: np.ndarray) -> list[int]:
        picked = order if lengths is None else lengths[order]
        return [each.fitting(picked) if each.kind == "tokens" else each.count(problem.n) for each in budgets]

    def wanted(order: np.ndarray) -> tuple[int, ...]:
        return tuple(sorted({size for size in sizes(order) if size < len(order)}))

    guesses = [_first_guess(each, problem.n, lengths) for each in budgets]
    size = max(guesses)
    while True:
        run = _checked(selector, replace(problem, wanted=wanted), size)
        if not run.nested:
            return [_alone(selector, problem, each) for each in budgets]
        found = sizes(run.indices)
        if lengths is None or not _more_would_fit(budgets, found, size, lengths):
            return [_cut(run, count, asked) for count, asked in zip(found, budgets, strict=True)]
        size = min(problem.n, max(size + 1, round(MARGIN * size)))


def _cut(run: Selection, size: int, budget: Budget) -> Selection:
    """The part of a nested run that answers one budget; a run that is short is all there is for more."""
    if size < len(run.indices):
        return run.prefixes[size]
    filled = size == len(run.indices) and budget.kind != "tokens"
    return replace(run, shortfall="") if filled else run


def _first_guess(budget: Budget, n: int, lengths: np.ndarray | None) -> int:
    if budget.kind != "tokens" or lengths is None:
        return budget.count(n)
    if budget.amount < lengths.min():
        least = int(lengths.min())
        raise SelectionError(
            f"budget {budget}: the shortest example has {least} tokens. Ask for at least {least} tokens."
        )
    return min(n, max(1, round(MARGIN * budget.amount / float(lengths.mean()))))


def _more_would_fit(budgets: list[Budget], found: list[int], size: int, lengths: np.ndarray) -> bool:
    """Whether a token budget swallowed all `size` picks while more examples exist."""
    full = any(each.kind == "tokens" and count == size for each, count in zip(budgets, found, strict=True))
    return full and size < len(lengths)


def _alone(selector: Selector, problem: Problem, budget: Budget) -> Selection:
    if budget.kind == "tokens":
        raise SelectionError(
            f"budget {budget}: prefixes of {selector.name} are not its answers, so no prefix can be cut to fit. "
            "Give a count or a fraction."
        )
    return _checked(selector, problem, budget.count(problem.n))


def _checked(selector: Selector, problem: Problem, size: int) -> Selection:
    """Run the method and refuse an answer that is not one."""
    answer = selector.select(problem, size)
    for expected, part in [(size, answer), *answer.prefixes.items()]:
        check_answer(part.indices, part.weights, what=selector.name)
        short = len(part.indices) < expected and part.shortfall != ""
        if len(part.indices) != expected and not short:
            raise SelectionError(f"{selector.name}: {len(part.indices)} picks for a size of {expected}. Report this.")
        if part.indices.max() >= problem.n:
            raise SelectionError(f"{selector.name}: pick {part.indices.max()} in a pool of {problem.n}. Report this.")
    return answer


def _stamp(selector: Selector, seed: int, n: int) -> dict[str, Any]:
    settings = selector.model_dump(mode="json") if isinstance(selector, BaseModel) else {}
    return {
        "method": selector.name,
        "settings": settings,
        "fingerprints": {},
        "seed": seed,
        "n": n,
        "version": _version(),
    }


def _version() -> str:
    try:
        return metadata.version("coresift")
    except metadata.PackageNotFoundError:
        return "not installed"


def _device(name: str) -> torch.device:
    """Raises SelectionError if there is no such device here."""
    found = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    found += [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if name not in found:
        raise SelectionError(
            f"device is {name!r}. Distances are computed on one of: {', '.join(found)}. Use one of them, such as "
            'device="cpu".'
        )
    return torch.device(name)


def _coreset(answer: Selection, ids: tuple[str, ...], stamp: dict[str, Any]) -> Coreset:
    short = {"shortfall": answer.shortfall} if answer.shortfall else {}
    return Coreset(
        indices=answer.indices,
        weights=answer.weights,
        ids=tuple(ids[int(index)] for index in answer.indices),
        diagnostics={**with_claims(answer.diagnostics, len(answer.indices)), **short},
        provenance=stamp,
    )


def _with_prefixes(coresets: list[Coreset]) -> list[Coreset]:
    """Let every coreset know the smaller ones that begin in the same way."""
    by_size = {len(each): each for each in coresets}
    return [
        replace(each, prefixes={size: other for size, other in by_size.items() if _begins(each, other)})
        for each in coresets
    ]


def _begins(longer: Coreset, shorter: Coreset) -> bool:
    return len(shorter) < len(longer) and bool((longer.indices[: len(shorter)] == shorter.indices).all())
