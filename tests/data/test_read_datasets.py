"""Saved data sets are read with their splits; a Hub name without a network is a quick and clear error."""

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from coresift.data import hub, read_pool
from coresift.errors import DataError

datasets = pytest.importorskip("datasets")

ROWS = [{"prompt": f"Q{number}", "completion": f"A{number}"} for number in range(4)]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def test_a_saved_data_set_is_a_pool(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
    assert [dict(row) for row in map(read_pool(tmp_path / "saved").row, range(4))] == ROWS


def test_a_reordered_data_set_keeps_its_order(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).select([3, 1]).save_to_disk(tmp_path / "saved")
    assert [example.messages[0].content for example in read_pool(tmp_path / "saved")] == ["Q3", "Q1"]


def test_a_split_is_chosen_by_name(tmp_path: Path) -> None:
    splits = {"train": datasets.Dataset.from_list(ROWS[:3]), "test": datasets.Dataset.from_list(ROWS[3:])}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    assert len(read_pool(tmp_path / "saved")) == 3
    assert len(read_pool(tmp_path / "saved", split="test")) == 1
    with pytest.raises(DataError, match=r"no split 'dev'; there are train, test\. Name one of them as the split"):
        read_pool(tmp_path / "saved", split="dev")


def test_a_single_data_set_has_no_other_split(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match=r"no split 'test'; the folder holds a single data set\. Leave the split out"):
        read_pool(tmp_path / "saved", split="test")


def test_a_damaged_data_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(DataError, match=r"the saved data set cannot be loaded \(.*Save it again with save_to_disk"):
        read_pool(tmp_path)


def test_without_a_network_a_hub_name_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    began = time.monotonic()
    with pytest.raises(
        DataError, match=r"coresift-tests/none: no such file.*the Hub cannot be reached .*Check the path"
    ):
        read_pool("coresift-tests/none")
    assert time.monotonic() - began < 10


@pytest.mark.usefixtures("offline")
def test_offline_a_hub_name_that_is_not_cached_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"looked up as a data set on the Hugging Face Hub: Couldn't reach .*HF_HUB_OFFLINE"
    ):
        read_pool("coresift-tests/none")


@pytest.mark.usefixtures("offline")
def test_a_hub_name_is_passed_on_with_configuration_and_split(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load(*names: Any, split: str) -> Any:
        asked.append((*names, split))
        return datasets.Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert len(read_pool("coresift-tests/none:main", split="test")) == 4
    assert len(read_pool("coresift-tests/none")) == 4
    assert asked == [("coresift-tests/none", "main", "test"), ("coresift-tests/none", None, "train")]


@pytest.mark.usefixtures("offline")
def test_part_of_a_data_set_is_that_part(monkeypatch: pytest.MonkeyPatch) -> None:
    part = datasets.Dataset.from_list(ROWS).select([3, 1])
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: part)
    assert [example.messages[0].content for example in read_pool("coresift-tests/none")] == ["Q3", "Q1"]


@pytest.mark.usefixtures("offline")
def test_what_the_hub_lacks_is_said_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> Any:
        raise ValueError("Config name is missing.\nPlease pick one among the available configs: ['main', 'socratic']")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(DataError, match=r"Config name is missing\. .*'main', 'socratic'\]\. Check .*owner/name:config"):
        read_pool("coresift-tests/none")


def test_a_hub_that_answers_with_an_error_counts_as_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*_: Any, **__: Any) -> Any:
        raise hub.urllib.error.HTTPError("https://huggingface.co", 503, "busy", None, None)  # type: ignore[arg-type]

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub.urllib.request, "urlopen", answer)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.Dataset.from_list(ROWS))
    assert len(read_pool("coresift-tests/none")) == 4


@pytest.mark.parametrize("name", ["../shared", "a/b/c", "/abs/path", "name", "owner/name.json", "owner/"])
def test_paths_are_not_taken_for_hub_names(name: str) -> None:
    with pytest.raises(DataError, match=r"no such file\. Check the path|a folder, but not one"):
        read_pool(name)
