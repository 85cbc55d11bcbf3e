"""Fingerprints follow content, and nothing else."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from coresift import fingerprints

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


def test_a_fingerprint_is_the_start_of_a_sha256() -> None:
    assert fingerprints.of_bytes(b"") == "e3b0c44298fc1c14"


@given(st.dictionaries(st.text("abcd"), JSON, max_size=4))
def test_key_order_does_not_matter(value: dict[str, object]) -> None:
    assert fingerprints.of_json(value) == fingerprints.of_json(dict(reversed(value.items())))


@given(st.lists(JSON, max_size=4))
def test_a_list_that_is_never_held_has_the_fingerprint_of_the_list(items: list[object]) -> None:
    assert fingerprints.of_json_list(iter(items)) == fingerprints.of_json(items)


@given(JSON, JSON)
def test_different_values_have_different_fingerprints(one: object, two: object) -> None:
    # repr, because True == 1 in Python and not in JSON
    same = repr(_sorted(one)) == repr(_sorted(two))
    assert (fingerprints.of_json(one) == fingerprints.of_json(two)) == same


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_000)
    assert fingerprints.of_file(path) == fingerprints.of_bytes(b"x" * 3_000_000)


def test_a_folder_is_known_by_the_names_and_contents_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1")
    (tmp_path / "b.bin").write_text("2")
    (tmp_path / "below").mkdir()
    whole, text = fingerprints.of_folder(tmp_path), fingerprints.of_folder(tmp_path, "*.txt")
    assert whole != text
    (tmp_path / "below" / "c.txt").write_text("3")
    assert fingerprints.of_folder(tmp_path) == whole
    (tmp_path / "b.bin").write_text("changed")
    assert fingerprints.of_folder(tmp_path) != whole
    assert fingerprints.of_folder(tmp_path, "*.txt") == text
    (tmp_path / "a.txt").rename(tmp_path / "z.txt")
    assert fingerprints.of_folder(tmp_path, "*.txt") != text
