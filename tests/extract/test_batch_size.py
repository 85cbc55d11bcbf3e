"""`batch_tokens: auto`: the largest batch whose peak is within what there is."""

import pytest
from adapted_models import adapted, rendered

from coresift.errors import FeatureError
from coresift.extract import batch_size
from coresift.extract.batch_size import largest, with_fitting_batches, worst_batches
from coresift.extract.run import GradientExtractor
from coresift.features.specs import GradientSpec

SPECS = [GradientSpec(loss="following", dim=16)]


def test_the_largest_batch_that_fits_is_found_from_below() -> None:
    tried: list[int] = []

    def peak_of(tokens: int) -> float:
        tried.append(tokens)
        return 10.0 * tokens if tokens < 4000 else float("inf")

    assert largest(peak_of, limit=10 * 2048, most=1 << 16) == 2048
    assert tried == [512, 1024, 2048, 4096]
    assert largest(lambda tokens: 0.0, limit=1, most=4096) == 4096


def test_a_model_whose_smallest_batch_does_not_fit_is_refused() -> None:
    with pytest.raises(FeatureError, match="a batch of 512 tokens takes more than the 2.0 MB there are"):
        largest(lambda tokens: 1e9, limit=2e6, most=4096)


def test_on_a_cpu_the_prediction_decides_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapted("llama")
    renderer, rows = rendered("llama")
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token, batch_tokens=7)
    said: list[str] = []
    assert with_fitting_batches(extractor, rows * 200, SPECS, say=said.append).batch_tokens == 4096
    assert said[0].startswith("batch_tokens auto: 4096 (") and said[0].endswith("to use on cpu)")
    monkeypatch.setattr(batch_size, "free_memory", lambda: 10 << 20)
    assert with_fitting_batches(extractor, rows * 200, SPECS).batch_tokens < 4096


def test_the_worst_batches_have_most_tokens_the_longest_rows_and_most_examples() -> None:
    model = adapted("llama")
    renderer, rows = rendered("llama")
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token, batch_tokens=150)
    batches = [(loss, places) for loss in ("response", "knowledge") for places in extractor.batches(rows, loss)]
    sizes = [(len(places), max(extractor.length(rows[place], loss) for place in places)) for loss, places in batches]
    worst = worst_batches(extractor, rows, SPECS)
    found = [sizes[batches.index(each)] for each in worst]
    assert 1 <= len(worst) <= 3
    assert max(count * length for count, length in found) == max(count * length for count, length in sizes)
    assert max(length for _, length in found) == max(length for _, length in sizes)
    assert max(count for count, _ in found) == max(count for count, _ in sizes)


@pytest.mark.gpu
def test_on_a_gpu_the_worst_batches_are_run() -> None:
    model = adapted("llama").to("cuda")
    renderer, rows = rendered("llama")
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token)
    assert with_fitting_batches(extractor, rows * 50, SPECS).batch_tokens == 65536
