"""Training in rounds: what the steps saw, that nothing runs twice, and that a killed run ends with the same trace."""

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import apart
import numpy as np
import pytest
import tiny
import torch
from round_policies import Highest
from safetensors.torch import load_file

from coresift.errors import SelectionError, TrainingError
from coresift.models.load import load_model
from coresift.models.lora import LoraSettings
from coresift.models.losses import response_losses
from coresift.models.render import Rendered, Renderer
from coresift.models.rendered_pool import render_pool
from coresift.online import Static
from coresift.policy import OnlineProblem, Plan, Round
from coresift.selectors import Random
from coresift.training import rounds as module
from coresift.training.rounds import Rounds, check_agreement, plan_in_words, train_rounds
from coresift.training.settings import LoopSettings, TrainSettings
from coresift.training.trace import COLUMNS, read_trace

SMALL = TrainSettings(
    lora=LoraSettings(rank=4, alpha=8, dropout=0.0), learning_rate=0.01, batch_size=4, micro_batch_size=2
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def rows() -> list[Rendered]:
    found = render_pool(tiny.pool(24), Renderer(tiny.tokenizer("llama3"), max_tokens=512)).rows
    return [row for row in found if row is not None]


def problem(budget: int = 20) -> OnlineProblem:
    return OnlineProblem(24, budget, utilities=np.arange(24.0), pool="tiny")


def run(base: Path, rows: list[Rendered], out: Path, policy: Any = None, **changes: Any) -> Rounds:
    ask: dict[str, Any] = {"settings": SMALL, "seed": 1, "device": "cpu", "say": lambda line: None}
    return train_rounds(base, rows, policy or Highest(), problem(), out=out, **{**ask, **changes})


def test_every_round_trains_on_all_of_its_examples_once_and_stops_at_the_budget(
    base: Path, rows: list[Rendered], tmp_path: Path
) -> None:
    done = run(base, rows, tmp_path, Highest(size=8))
    assert [sorted(each["indices"]) for each in done.trace] == [[*range(16, 24)], [*range(8, 16)], [4, 5, 6, 7]]
    assert [each["steps"] for each in done.trace] == [2, 2, 1] and done.checkpoint.summary["steps"] == 5
    assert done.state.spent == 20 == done.checkpoint.summary["examples"]
    assert done.checkpoint.summary["tokens"] == sum(len(row.tokens) for row in rows[4:])


def test_no_example_goes_through_the_model_more_often_than_training_needs(
    base: Path, rows: list[Rendered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaForCausalLM

    passes: list[int] = []
    forward = LlamaForCausalLM.forward

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        passes.append(len(kwargs["input_ids"]))
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(LlamaForCausalLM, "forward", counted)
    for delta in ("none", "paper", "first-order"):
        passes.clear()
        run(base, rows, tmp_path / delta, Highest(size=10, delta=delta))
        assert passes == [2] * 10, "20 examples in micro-batches of 2"


def test_losses_are_those_before_the_step_of_their_example(base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    first = run(base, rows, tmp_path, Highest(size=4)).trace[0]
    expected = response_losses(load_model(base), rows, start_token=0, pad_token=0).numpy()
    assert first["losses"] == pytest.approx(expected[first["indices"]].tolist(), abs=1e-5)


def test_the_first_order_change_is_minus_rate_times_squared_gradient_for_sgd(
    base: Path, rows: list[Rendered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = SMALL.model_copy(update={"max_grad_norm": 0.0, "learning_rate": 1e-3, "tuning": "full"})
    norms: list[float] = []
    real = module.build_trainer

    def by_sgd(model: Any, *args: Any, **kwargs: Any) -> Any:
        made = real(model, *args, **kwargs, optimizer=torch.optim.SGD(model.parameters(), lr=1e-3))

        def square(optimizer: Any, *_: Any) -> None:
            gradients = [weight.grad for group in optimizer.param_groups for weight in group["params"]]
            norms.append(sum(float(each.double().square().sum()) for each in gradients if each is not None))

        kwargs.clear()
        made.optimizer.register_step_pre_hook(square)
        return made

    monkeypatch.setattr(module, "build_trainer", by_sgd)
    loop = LoopSettings(schedule="steps", measure=4)
    done = run(base, rows, tmp_path, Highest(size=4, delta="first-order"), settings=plain, loop=loop)
    for each, norm in zip(done.trace, norms, strict=True):
        assert each["changes"] == pytest.approx([-1e-3 * norm] * 4, rel=1e-4)
        # the mean over the batch is what the first order speaks of; the step is small, so it comes true
        assert np.mean(each["realised"]) == pytest.approx(np.mean(each["changes"]), rel=0.03)


@pytest.mark.parametrize("limit", [0.0, 0.05])
def test_the_first_order_change_comes_true_for_adamw_and_under_clipping(
    limit: float, base: Path, rows: list[Rendered], tmp_path: Path
) -> None:
    gentle = SMALL.model_copy(update={"learning_rate": 2e-4, "max_grad_norm": limit})
    done = run(
        base, rows, tmp_path, Highest(size=4, delta="first-order"), settings=gentle, loop=LoopSettings(measure=4)
    )
    for each in done.trace:
        realised, estimated = np.mean(each["realised"]), np.mean(each["changes"])
        assert realised < 0 and estimated == pytest.approx(realised, rel=0.1)


def test_an_example_is_credited_with_its_own_and_the_later_steps(
    base: Path, rows: list[Rendered], tmp_path: Path
) -> None:
    changes = run(base, rows, tmp_path, Highest(size=12, delta="first-order")).trace[0]["changes"]
    steps = [changes[0], changes[4], changes[8]]
    assert changes == [steps[0]] * 4 + [steps[1]] * 4 + [steps[2]] * 4
    assert steps[0] < steps[1] < steps[2] < 0


def test_the_rate_falls_over_all_rounds_to_zero_at_the_budget(base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    flat = SMALL.model_copy(update={"warmup_ratio": 0.0})
    linear = run(base, rows, tmp_path / "a", Highest(size=8), settings=flat)
    # five steps; a round of 8 of 20 falls from 1 to 0.6 over two steps
    assert [each["learning_rate"] for each in linear.trace] == pytest.approx([0.009, 0.005, 0.002])
    steps = run(base, rows, tmp_path / "b", Highest(size=8), loop=LoopSettings(schedule="steps"))
    assert [each["learning_rate"] for each in steps.trace] == pytest.approx([0.01] * 3)


def test_the_rate_of_epochs_of_one_subset_falls_over_all_of_them(
    base: Path, rows: list[Rendered], tmp_path: Path
) -> None:
    flat = SMALL.model_copy(update={"warmup_ratio": 0.0})
    done = run(base, rows, tmp_path, Static(selector=Random(), epochs=3), settings=flat)
    rates = [each["learning_rate"] for each in done.trace]
    # five steps an epoch: the first epoch would spend the budget, were it counted in different examples
    assert rates == pytest.approx([0.01 * (1 - (5 * epoch + 2) / 15) for epoch in range(3)], rel=1e-6)


def test_proposed_weights_reach_the_loss_as_in_every_other_training(
    base: Path, rows: list[Rendered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run(base, rows, tmp_path / "plain")
    propose = Highest.propose

    def weighted(self: Highest, state: Any) -> Round | None:
        found = propose(self, state)
        return found and replace(found, facts={**found.facts, "weights": [1.0 + place for place in found.indices]})

    monkeypatch.setattr(Highest, "propose", weighted)
    loss = run(base, rows, tmp_path / "loss")
    ignored = run(base, rows, tmp_path / "none", settings=SMALL.model_copy(update={"weighting": "none"}))
    adapters = [
        load_file(each.checkpoint.folder / "adapter/adapter_model.safetensors") for each in (plain, loss, ignored)
    ]
    assert any(not torch.equal(adapters[0][name], adapters[1][name]) for name in adapters[0])
    assert all(torch.equal(adapters[0][name], adapters[2][name]) for name in adapters[0])


def test_the_trace_is_parquet_with_every_column(base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    done = run(base, rows, tmp_path, Highest(size=8, delta="paper"), loop=LoopSettings(measure=3))
    found = read_trace(tmp_path / "trace.parquet")
    assert [list(each) for each in found] == [list(COLUMNS)] * 3
    assert [each["ids"] for each in found] == [[rows[place].id for place in each["indices"]] for each in done.trace]
    assert [each["arm"] for each in found] == [0, 1, 0] and found[0]["probabilities"] == [0.5, 0.5]
    assert [each["cosine"] is None for each in found] == [True, True, False] and abs(found[2]["cosine"]) <= 1
    assert [len(each["measured"]) for each in found] == [3, 3, 3] and found[1]["facts"] == {"seen": 8}
    assert found[0]["reward"] == pytest.approx(np.mean(found[0]["utilities_before"]) - np.mean(found[0]["losses"]))


def test_a_finished_run_is_returned_and_another_one_refused(base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    done = run(base, rows, tmp_path)
    again = run(base, rows, tmp_path)
    assert again.trace == done.trace and np.array_equal(again.state.uses, done.state.uses)
    with pytest.raises(TrainingError, match=r"another training run:\n  policy.settings.size: the folder has 5, .* 6"):
        run(base, rows, tmp_path, Highest(size=6))
    with pytest.raises(TrainingError, match="23 rows for a problem of 24 examples. Pass one row per example"):
        run(base, rows[:-1], tmp_path / "short")


def test_a_state_of_another_pool_is_refused(base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    run(base, rows, tmp_path)
    other = Highest().init(replace(problem(), pool="another"), 0)
    with np.load(tmp_path / "state.npz") as saved, pytest.raises(SelectionError, match="pool: the state has 'tiny'"):
        other.from_arrays(dict(saved))


def test_the_state_takes_at_most_16_bytes_per_example(tmp_path: Path) -> None:
    n = 20_000
    state = Highest().init(OnlineProblem(n, 10, utilities=np.ones(n)), 0)
    module.write_state(tmp_path / "state.npz", state)
    assert (tmp_path / "state.npz").stat().st_size <= 16 * n + 4096


def test_the_plan_is_said_before_training_and_warns() -> None:
    plan = Plan(rounds=3, examples=30, distinct=20, warning="the budget is 25, but only 20 can be reached")
    first, second = plan_in_words(plan, OnlineProblem(24, 24), SMALL)
    assert first == (
        "plan: about 3 rounds, 30 examples trained on for a budget of 24 different ones of 24, about 9 optimizer steps"
    )
    assert second == "warning: the budget is 25, but only 20 can be reached"


def test_processes_that_would_train_on_different_examples_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelerate.utils.gather_object", lambda own: [*own, "ffff"])
    with pytest.raises(TrainingError, match=r"round 3: the processes were proposed different examples \(.*, ffff\)"):
        check_agreement(Round(3, np.arange(4)))


class Interrupted(Exception):
    """As a kill would."""


@pytest.mark.parametrize("moment", ["in round 0", "in round 2", "before the mark", "after the last round"])
@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_an_interrupted_run_ends_with_the_same_trace_and_weights(
    moment: str, tuning: str, base: Path, rows: list[Rendered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tuning == "full" and moment != "in round 2":
        pytest.skip("one moment is enough")
    dropout = LoraSettings(rank=4, alpha=8, dropout=0.2)  # so that random numbers matter
    ask: dict[str, Any] = {"settings": SMALL.model_copy(update={"tuning": tuning, "lora": dropout})}
    policy = Highest(size=5, delta="paper")
    straight = run(base, rows, tmp_path / "straight", policy, **ask)
    with monkeypatch.context() as patch:
        _interrupt(patch, moment)
        with pytest.raises(Interrupted):
            run(base, rows, tmp_path / "broken", policy, **ask)
    resumed = run(base, rows, tmp_path / "broken", policy, **ask)
    assert resumed.trace == straight.trace and len(resumed.trace) == 4
    assert read_trace(tmp_path / "broken/trace.parquet") == read_trace(tmp_path / "straight/trace.parquet")
    assert resumed.checkpoint.fingerprint == straight.checkpoint.fingerprint
    assert resumed.checkpoint.summary["loss_curve"] == straight.checkpoint.summary["loss_curve"]


def _interrupt(patch: pytest.MonkeyPatch, moment: str) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Interrupted

    if moment == "after the last round":
        patch.setattr(module, "finish", stop)
    elif moment == "before the mark":
        seen: list[int] = []
        real = module.write_state

        def second(*args: Any) -> None:
            seen.append(1)
            if len(seen) == 2:
                raise Interrupted
            real(*args)

        patch.setattr(module, "write_state", second)
    else:
        observe = Highest.observe
        number = int(moment[-1])

        def observed(self: Highest, state: Any, round: Round, observation: Any) -> Any:
            return stop() if round.number == number else observe(self, state, round, observation)

        patch.setattr(Highest, "observe", observed)


SCRIPT = """
import sys, numpy as np, tiny, torch
from pathlib import Path
from round_policies import Highest
from coresift.models.lora import LoraSettings
from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool
from coresift.online import Static
from coresift.policy import OnlineProblem
from coresift.training.rounds import train_rounds
from coresift.training.settings import TrainSettings
torch.set_num_threads(1)
rows = render_pool(tiny.pool(24), Renderer(tiny.tokenizer("llama3"), max_tokens=512)).rows
problem = OnlineProblem(24, 20, utilities=np.arange(24.0), pool="tiny")
settings = TrainSettings.model_validate_json(sys.argv[3])
policy = Highest(size=int(sys.argv[4]), delta="first-order")
train_rounds(sys.argv[1], rows, policy, problem, out=Path(sys.argv[2]), settings=settings, seed=1, device="cpu")
"""


def environment() -> dict[str, str]:
    folders = [str(Path(__file__).parent), str(Path(tiny.__file__).parent), *sys.path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1"}


def test_a_killed_process_goes_on_to_the_same_trace(base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    started = apart.start(SCRIPT, base, tmp_path / "killed", SMALL.model_dump_json(), 1)
    apart.until(lambda: len([*tmp_path.glob("killed/rounds/*.json")]) >= 4, started)
    apart.kill(started)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        policy = Highest(size=1, delta="first-order")
        resumed, straight = run(base, rows, tmp_path / "killed", policy), run(base, rows, tmp_path / "straight", policy)
    finally:
        torch.set_num_threads(threads)
    assert resumed.trace == straight.trace and len(resumed.trace) == 20
    assert resumed.checkpoint.fingerprint == straight.checkpoint.fingerprint


@pytest.mark.slow
def test_two_processes_agree_with_each_other_and_with_one(base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = [str(base), str(tmp_path / "two"), SMALL.model_dump_json(), "8"]
    subprocess.run([*command, str(tmp_path / "run.py"), *arguments], env=environment(), check=True)
    together = read_trace(tmp_path / "two" / "trace.parquet")
    alone = run(base, rows, tmp_path / "one", Highest(size=8, delta="first-order")).trace
    assert len(together) == len(alone) == 3
    for one, two in zip(alone, together, strict=True):
        assert sorted(one["indices"]) == sorted(two["indices"])
        ordered = [dict(zip(each["indices"], each["losses"], strict=True)) for each in (one, two)]
        assert ordered[0] == pytest.approx(ordered[1], abs=1e-5)
