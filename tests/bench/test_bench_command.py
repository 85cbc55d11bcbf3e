"""`coresift bench`: the list, the arguments, the mistakes."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from coresift.bench import BENCHES, entry

ROOT = Path(__file__).resolve().parents[2]


def test_alone_it_lists_every_benchmark(bench) -> None:
    answer = bench()
    assert answer.code == 0
    assert [line for name, what in BENCHES.items() if (line := what) not in answer.out or name not in answer.out] == []


@pytest.mark.parametrize("name", BENCHES)
def test_every_line_of_the_table_has_a_file_that_can_be_asked_for_help(bench, name: str) -> None:
    module = importlib.import_module(f"coresift.bench.{name}")
    assert callable(module.options) and callable(module.measure)
    answer = bench(name, "--help")
    assert answer.code == 0 and f"usage: coresift bench {name}" in answer.out and "--json FILE" in answer.out


def test_an_unknown_benchmark_is_named_with_the_nearest_known(bench) -> None:
    answer = bench("selecton")
    assert answer.code == 2
    assert "bench selecton: no such benchmark. Did you mean 'selection'? Give one of: " in answer.err
    assert "Did you mean" not in bench("xyzzy").err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["selection", "--n", "many"], "argument --n: 'many' is not a whole number above 0"),
        (["memory", "--dim", "0"], "argument --dim: '0' is not a whole number above 0"),
        (["memory", "--nn", "5"], "unrecognized arguments: --nn 5. `coresift bench memory --help` lists the options"),
        (["memory", "--json", "."], "argument --json: . is a folder. Name a file"),
        (["selection", "--norms", "odd"], "invalid choice: 'odd'"),
        (["selection", "--csv", "a.csv"], "--csv: belongs to the table of growth. Add --table"),
        (["selection", "--table", "9", "--peers"], "--peers: the table of growth runs BRIEF alone"),
        (
            ["selection", "--table", "9", "--published-alphas", "1"],
            "--published-alphas: the table of growth runs BRIEF",
        ),
        (["selection", "--table", "9,x"], "argument --table: 'x' is not a whole number above 0"),
        (["selection", "--table", "9", "--figure", "a.pdf"], "a.pdf does not end in .png"),
        (["memory", "--n", "20", "--dim", "4", "--budget", "half"], "budget 'half' is not understood"),
        (["partition", "--parts", "4,x"], "argument --parts: 'x' is not a whole number above 0"),
        (["partition", "--n", "9", "--parts", "4,10"], "--parts 10: only 9 examples. Give fewer parts or a larger --n"),
        (["partition", "--oversample", "2,half"], "'2,half' is not a list of numbers such as 1,2,4"),
        (["partition", "--oversample", "0.5"], "'0.5': a part gives at least its share, so numbers from 1 up"),
        (["partition", "--oversample", "nan"], "'nan': a part gives at least its share, so numbers from 1 up"),
    ],
)
def test_a_mistake_is_a_message_and_exit_code_2(bench, arguments: list[str], message: str) -> None:
    answer = bench(*arguments)
    assert answer.code == 2 and message in answer.err and "Traceback" not in answer.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_said_before_any_work(bench) -> None:
    answer = bench("memory", "--device", "cuda")
    assert answer.code == 2 and "--device cuda: torch sees no CUDA device here. Use --device cpu." in answer.err


def test_listing_and_help_load_no_benchmark() -> None:
    listing = "import sys; from coresift.cli.main import run_command as r; r(['bench']); r(['--help']); "
    check = "print('loaded:', sorted(name for name in sys.modules if name.startswith('coresift.bench.')))"
    done = subprocess.run([sys.executable, "-c", listing + check], capture_output=True, text=True, check=True)
    assert "loaded: ['coresift.bench.entry']" in done.stdout


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("selection", "selection"),
        ("selection_memory", "memory"),
        ("partition", "partition"),
        ("gradients", "gradients"),
    ],
)
def test_the_scripts_of_a_clone_are_the_same_commands(script: str, name: str) -> None:
    path = ROOT / "benchmarks" / f"{script}.py"
    done = subprocess.run([sys.executable, str(path), "-h"], capture_output=True, text=True, check=True)
    assert f"usage: coresift bench {name}" in done.stdout


def test_numbers_are_read_as_they_are_written() -> None:
    assert entry.positive("12") == 12
