"""Recipes: every setting is checked before anything runs, and every value knows where it came from."""

from pathlib import Path

import pytest
import yaml

from coresift.errors import SettingsError
from coresift.pipeline.config import Recipe
from coresift.pipeline.recipes import load_recipe, resolve, shipped_recipes
from coresift.pipeline.yaml_text import read_yaml
from coresift.selectors import SELECTORS

LEAST = {"name": "r", "pool": {"path": "p.jsonl"}, "model": {"path": "m"}}


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_shipped_recipes_are_complete_and_short(name: str) -> None:
    overrides = ["pool.path=mine.jsonl"] if name in ("brief-small", "lead-small") else []
    assert load_recipe(name, overrides).recipe.name == name
    assert len(shipped_recipes()[name].read_text().splitlines()) <= 40


@pytest.mark.parametrize("name", ["brief-llama3.1-8b", "brief-qwen3-4b", "brief-mistral-nemo-12b"])
def test_published_recipes_have_the_published_settings(name: str) -> None:
    recipe = load_recipe(name).recipe
    assert recipe.train is not None
    lora, warm = recipe.train.lora, recipe.warmup_train
    assert (lora.rank, lora.alpha, lora.dropout) == (128, 512, 0.1)
    assert (recipe.train.epochs, recipe.train.learning_rate, recipe.train.batch_size) == (4, 5e-6, 128)
    assert (warm.epochs, warm.tuning, warm.lora) == (1, "lora", lora)
    assert (recipe.warmup.fraction, recipe.budget, recipe.seed) == (0.05, 0.05, 42)
    assert (recipe.method.precision, recipe.method.max_iterations, recipe.method.dim) == (0.005, 15, 8192)


def test_every_value_knows_its_origin(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**LEAST, "budget": 0.1}))
    resolved = load_recipe(path, ["pool.max_tokens=99", "method={name: random}"])
    assert resolved.origins["pool.path"] == "mine.yaml"
    assert resolved.origins["pool.max_tokens"] == "--set"
    assert resolved.origins["method.name"] == "--set"
    assert resolved.origins["seed"] == "default"


def test_the_resolved_settings_are_a_recipe_that_gives_itself(tmp_path: Path) -> None:
    resolved = resolve(
        {**LEAST, "train": {"epochs": 2}, "pool": {"path": "a: b #c.jsonl", "columns": {"response": "x"}}}
    )
    text = resolved.to_yaml()
    assert "  epochs: 2.0  # recipe" in text and "seed: 0  # default" in text
    assert resolve(yaml.safe_load(text)).recipe == resolved.recipe


def test_resolved_settings_that_are_run_again_are_named_once_and_only_changes_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(resolve({**LEAST, "budget": 0.1}).to_yaml())
    again = load_recipe(path)
    text = again.to_yaml()
    assert again.origins == {} and text.count("settings.yaml") == 1 and text.count("#") == 2
    changed = load_recipe(path, ["budget=0.2", "method={name: random}"])
    assert changed.origins == {"budget": "--set", "method.name": "--set"}
    assert "budget: 0.2  # --set\n" in changed.to_yaml() and "\nseed: 0\n" in changed.to_yaml()
    path.write_text(text)
    assert load_recipe(path).to_yaml() == text, "again and again"


def test_a_setting_that_resolved_settings_lack_is_a_default(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    lines = resolve(LEAST).to_yaml().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("seed:")))
    assert load_recipe(path).origins == {"seed": "default"}


def test_an_override_can_open_a_section_that_was_closed() -> None:
    recipe = resolve(LEAST, ["train.epochs=3"]).recipe
    assert recipe.train is not None and recipe.train.epochs == 3


def test_a_method_is_built_with_its_settings() -> None:
    recipe = resolve({**LEAST, "method": {"name": "brief", "alpha": 0.25, "dim": 64}}).recipe
    assert recipe.selector == SELECTORS["brief"](alpha=0.25, dim=64)


def test_the_warm_up_is_lora_for_one_epoch_without_weights_whatever_the_final_training_is() -> None:
    recipe = resolve({**LEAST, "train": {"tuning": "full", "epochs": 5}}).recipe
    assert (recipe.warmup_train.tuning, recipe.warmup_train.epochs) == ("lora", 1)
    assert recipe.warmup_train.weighting == "none"


def test_one_changed_warm_up_setting_leaves_the_others_as_they_were() -> None:
    train = {"epochs": 5, "batch_size": 16, "micro_batch_size": 4, "lora": {"rank": 8}}
    recipe = resolve({**LEAST, "train": train}, ["warmup.train.learning_rate=1e-3", "warmup.train.lora.alpha=2"]).recipe
    plain = resolve({**LEAST, "train": train}).recipe
    lora = plain.warmup_train.lora.model_copy(update={"alpha": 2.0})
    expected = plain.warmup_train.model_copy(update={"learning_rate": 1e-3, "lora": lora})
    assert recipe.warmup_train == expected


def test_an_empty_value_is_an_empty_text() -> None:
    assert resolve(LEAST, ["pool.columns.id="]).recipe.pool.columns == {"id": ""}


def test_a_mistyped_recipe_name_gets_a_suggestion() -> None:
    with pytest.raises(SettingsError, match="Did you mean 'brief-small'"):
        load_recipe("breif-small")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["pool.max_token=5"], r"pool.max_token: no such setting. Did you mean 'max_tokens'\?"),
        (["budgets=5"], r"budgets: no such setting. Did you mean 'budget'\?"),
        (["method={name: breif}"], r"method.name is 'breif'. Did you mean 'brief'\? Known methods: .*brief, .*random"),
        (["method.alpha=2"], r"method.alpha: Input should be less than or equal to 1, got 2"),
        (["method.alhpa=0.5"], r"method.alhpa: brief has no such setting. Did you mean 'alpha'\?"),
        (["method={name: random, dim: 5}"], r"method.dim: random has no such setting"),
        (["warmup.train.epohcs=1"], r"warmup.train.epohcs: no such setting. Did you mean 'epochs'\?"),
        (["budget=[]"], "budget is an empty list"),
        (["budget='5,000'"], "budget '5,000': a comma separates budgets, and '000' is none"),
        (["pool.held_out=1.5"], r"pool.held_out"),
        (["model.dtype=float46"], r"model.dtype: Input should be 'auto', 'float32'"),
        (["method={name: random}", "compare.random=2"], "both would be the same thing"),
        (["method={name: full}", "compare.full=true"], "both would be the same thing"),
        (["method={name: balanced-random}", "compare.balanced_random=1"], "compare.balanced_random is set, but"),
        (["train.epochs=0"], r"train.epochs: Input should be greater than 0, got 0"),
        (["warmup.train.lora=5"], r"warmup.train.lora: Input should be a valid dictionary or instance of LoraSettings"),
        (["warmup.train.lora.rank=0"], r"warmup.train.lora.rank: Input should be greater than or equal to 1, got 0"),
        (["warmup.train.tuning=full"], "the warm-up is always LoRA"),
        (["compare.unweighted=true", "train.weighting=none"], "both would be the same training"),
        (["name=a/b"], "name: String should match pattern"),
        (["epochs"], "--set epochs: not of the form key=value"),
        (["pool={}"], r"pool.path: missing. Add it to the recipe or pass --set pool.path=VALUE"),
    ],
)
def test_a_setting_that_cannot_be_honoured_is_an_error(overrides: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        resolve(LEAST, [*(["method.name=brief"] if "method." in overrides[0] else []), *overrides])


def test_a_recipe_that_is_not_there_names_the_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such recipe file. Give a YAML file or one of: .*brief-small"):
        load_recipe(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not readable as YAML"),
        ("name: !!int x", "not readable as YAML .a value is not what it looks like"),
        ("day: 2024-13-45", "not readable as YAML .a value is not what it looks like: month must be in 1..12"),
        ("- a", "a recipe is a mapping of settings, found list"),
        ("", "a recipe is a mapping of settings, found NoneType"),
        ("seed: 1\nname: a\nseed: 2", "line 3: the key 'seed' stands in line 1 already. Keep one of them"),
        ("pool:\n  path: a\n  path: b", "line 3: the key 'path' stands in line 2 already"),
        ("pool: {1: a}", "line 1: the key '1' is not text. Put it in quotes"),
        ("on: a", "line 1: the key 'on' is not text"),
        ("? [a]\n: b", "line 1: the key that holds other values is not text"),
        ("a: &loop [*loop]", "line 1: an anchor that holds itself has no end"),
        ("a: &one\n  b: {c: *one}", "line 1: an anchor that holds itself has no end"),
        ("a: " + "[" * 50 + "]" * 50, "line 1: nested more than 40 levels deep"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested more than 40 levels deep"),
    ],
)
def test_a_broken_recipe_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=rf"broken.yaml: {message}"):
        load_recipe(path)


def test_a_recipe_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(SettingsError, match="broken.yaml: not UTF-8 text .* Save it as UTF-8"):
        load_recipe(path)


def test_aliases_are_unfolded_up_to_a_sane_number_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coresift.pipeline.yaml_text.MOST_VALUES", 50)
    assert read_yaml("a: &few [1, 2, 3]\nb: [*few, *few]") == {"a": [1, 2, 3], "b": [[1, 2, 3]] * 2}
    with pytest.raises(SettingsError, match="line 3: its aliases unfold to more than 50 values. Use fewer"):
        read_yaml("a: &a [1, 2, 3, 4, 5]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]")


def test_anchors_have_room_under_keys_that_are_no_settings(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = "x-base: &base {epochs: 2, batch_size: 4}\nname: r\npool: {path: p}\nmodel: {path: m}\n"
    path.write_text(text + "train: {<<: *base, batch_size: 8}\n")
    resolved = load_recipe(path)
    assert resolved.recipe.train is not None
    assert (resolved.recipe.train.epochs, resolved.recipe.train.batch_size) == (2, 8)
    assert not any(key.startswith("x-") for key in resolved.origins)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train={epochs: 1, epochs: 2}", "--set train=.*: line 1: the key 'epochs' stands in line 1 already"),
        ("budget=[1, 2", "--set budget=.*: not readable as YAML"),
        ("budget=&a [*a]", "--set budget=.*: line 1: an anchor that holds itself"),
    ],
)
def test_overrides_are_read_as_strictly_as_files(override: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        resolve(LEAST, [override])


def test_text_that_only_looks_like_yaml_is_text() -> None:
    recipe = resolve(LEAST, ["pool.path=a: b: c", "name=2024-13-45"]).recipe
    assert (recipe.pool.path, recipe.name) == ("a: b: c", "2024-13-45")


def test_budgets_with_commas_are_a_list_everywhere() -> None:
    assert resolve(LEAST, ["budget=50,100"]).recipe.budgets == ("50", "100")
    assert resolve({**LEAST, "budget": ["5%,0.1", 7]}).recipe.budgets == ("5%", "0.1", 7)


def test_a_tilde_is_home_in_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    method = {"name": "delift", "stage": "task", "encoder": "~/encoder"}
    values = {**LEAST, "out": "~/run", "model": {"path": "~/model"}, "method": method}
    recipe = resolve(
        values, ["pool.path=~/p.jsonl", "target.path=~/t", "evaluate.test=~/e", "evaluate.encoder=~/s"]
    ).recipe
    paths = (recipe.out, recipe.model.path, recipe.pool.path, recipe.evaluate.test, recipe.method.encoder)
    assert paths == tuple(f"/home/me/{name}" for name in ("run", "model", "p.jsonl", "e", "encoder"))
    assert recipe.target is not None and recipe.target.path == "/home/me/t"
    assert recipe.evaluate.encoder == "/home/me/s"


def test_the_json_schema_accepts_shipped_recipes_and_refuses_typos() -> None:
    import jsonschema

    schema = Recipe.model_json_schema()
    for name, path in shipped_recipes().items():
        values = yaml.safe_load(path.read_text())
        if name in ("brief-small", "lead-small"):
            values["pool"]["path"] = "mine.jsonl"
        jsonschema.validate(values | {"x-note": [1]}, schema)
    for wrong in ({**LEAST, "bugdet": 1}, {**LEAST, "method": {"name": "brief", "alhpa": 1}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


@pytest.mark.parametrize("name", ["random", "full", "mint", "craig", "compare-demo"])
def test_a_replaced_pool_is_not_scored_on_the_test_of_the_embedded_world(name: str) -> None:
    resolved = load_recipe(name, ["pool.path=mine.jsonl", "pool.held_out=9"])
    assert resolved.recipe.evaluate.test is None and resolved.recipe.evaluate.second is None
    assert "evaluate.test: the recipe's is on the embedded world" in resolved.notes[0]
    assert "models are scored on pool.held_out" in resolved.notes[0]
    assert "test: null  # left out: a test on the embedded world" in resolved.to_yaml()
    assert load_recipe(name).recipe.evaluate.test == "world" and load_recipe(name).notes == ()


def test_a_test_that_is_asked_for_stays_whatever_the_pool(tmp_path: Path) -> None:
    assert load_recipe("random", ["pool.path=mine", "evaluate.test=world"]).recipe.evaluate.test == "world"
    own = {**LEAST, "evaluate": {"test": "world"}}
    assert resolve(own).recipe.evaluate.test == "world", "pool and test are of one author"
    assert resolve(own, ["pool.path=world"]).recipe.evaluate.test == "world"


def test_a_set_of_the_embedded_world_beside_a_replaced_pool_is_pointed_out() -> None:
    notes = load_recipe("delift-task", ["pool.path=mine.jsonl"]).notes
    assert any("target: still the recipe's, of the embedded world; --set target.path=FILE" in note for note in notes)
    assert not any("target" in note for note in load_recipe("delift-task", ["pool.path=a", "target.path=b"]).notes)
