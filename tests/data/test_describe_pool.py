"""`describe` says what a pool holds, in numbers that JSON can carry."""

import json
from pathlib import Path

from coresift.data import describe, read_pool


def test_a_pool_is_described_in_numbers(tmp_path: Path) -> None:
    talk = [("user", "12"), ("assistant", "345"), ("user", "6"), ("assistant", "78")]
    turns = [{"role": role, "content": content} for role, content in talk]
    single = {"source": "b", "messages": [{"role": "system", "content": "S"}, *turns[:2]]}
    rows = [{"source": "a", "messages": turns}, single, single, {"source": "b", "messages": turns[:1]}]
    path = tmp_path / "pool.json"
    path.write_text(json.dumps(rows))
    pool = read_pool(path, skip_bad_rows=True)
    told = describe(pool)
    assert json.loads(json.dumps(told))["fingerprint"] == pool.fingerprint
    assert (told["examples"], told["sources"], told["turns"]) == (3, {"b": 2, "a": 1}, {1: 2, 2: 1})
    assert list(told["sources"]) == ["b", "a"]
    assert told["with_system"] == 2
    assert told["columns"] == ["messages", "source"]
    assert told["duplicates"] == {"groups": 1, "surplus": 1}
    assert told["repeated_responses"] == 1
    assert told["skipped"] == {"rows": 1, "reasons": {"no assistant turn; there is no response to learn": 1}}
    assert told["response_characters"] == {
        "min": 3.0,
        "p25": 3.0,
        "median": 3.0,
        "p75": 4.0,
        "max": 5.0,
        "mean": 11 / 3,
        "total": 11.0,
    }
    assert told["prompt_characters"]["total"] == 9.0
