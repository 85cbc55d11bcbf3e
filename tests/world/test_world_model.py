"""The shipped base model: small, knows the facts, does not follow instructions."""

import json

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from coresift import world  # noqa: E402
from coresift.world.probe import completions_right, exercises, statements  # noqa: E402


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.AutoTokenizer.from_pretrained(world.model_path())


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(2)
    return transformers.AutoModelForCausalLM.from_pretrained(world.model_path(), dtype=torch.float32).eval()


def test_the_folder_holds_a_whole_model_of_at_most_eight_megabytes():
    files = {path.name: path.stat().st_size for path in world.model_path().iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= set(files)
    assert sum(files.values()) <= 8_000_000


def test_the_model_is_a_llama_of_at_most_four_million_parameters(model):
    assert model.config.model_type == "llama"
    assert model.config.tie_word_embeddings
    assert model.config.max_position_embeddings == 1024
    assert model.num_parameters() <= 4_000_000


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_text_survives_the_tokenizer(text):
    tokenizer = transformers.AutoTokenizer.from_pretrained(world.model_path())
    specials = tokenizer.all_special_tokens
    if not any(token in text for token in specials):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


def test_every_name_and_value_is_one_token(tokenizer):
    known = world.facts()
    values = {value for column in known.values.values() for value in column.values()}
    for word in {*known.people, *known.towns, *known.things, *values}:
        assert len(tokenizer(f" {word}", add_special_tokens=False).input_ids) == 1


def test_the_chat_template_marks_the_roles_and_ends_answers(tokenizer):
    turns = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "U"},
        {"role": "assistant", "content": "A"},
    ]
    assert tokenizer.apply_chat_template(turns, tokenize=False) == "<s>System: S\nUser: U\nAssistant: A</s>\n"
    asked = tokenizer.apply_chat_template(turns[:2], tokenize=False, add_generation_prompt=True)
    assert asked == "<s>System: S\nUser: U\nAssistant:"


def test_the_model_knows_the_facts(model, tokenizer):
    assert completions_right(model, tokenizer, statements()) >= 0.95


def test_the_model_has_the_skills_in_the_notations_it_has_read(model, tokenizer):
    assert completions_right(model, tokenizer, exercises(60)) >= 0.75


def test_the_model_does_not_follow_instructions_before_tuning(model, tokenizer):
    """On every third item: at most one answer in ten is exactly right."""
    right, items = 0, world.test_items()[::3]
    for item in items:
        turns = [{"role": "user", "content": item.example.messages[0].content}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids = torch.tensor([tokenizer(text, add_special_tokens=False).input_ids])
        wanted = tokenizer(f" {item.example.messages[1].content}", add_special_tokens=False).input_ids
        full = torch.cat([ids, torch.tensor([[*wanted, tokenizer.eos_token_id]])], 1)
        with torch.inference_mode():
            best = model(input_ids=full).logits[0, ids.shape[1] - 1 : -1].argmax(-1).tolist()
        right += best == [*wanted, tokenizer.eos_token_id]
    assert right <= 0.1 * len(items)


def test_the_log_of_the_pretraining_is_kept_with_its_time(model):
    log = json.loads((world.model_path().parent / "pretraining.json").read_text())
    assert log["parameters"] == model.num_parameters()
    assert log["seconds"] > 0 and log["log"][-1]["facts"] >= 0.95
