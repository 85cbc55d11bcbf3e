"""Real vocabularies: the tokens of mistral-common's and llama-models' own encoders, where these packages are.

`pip install 'coresift[kit]'` brings them; without, the tests are skipped.
"""

import json
import shutil
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from coresift.data.pool import Example, Message
from coresift.models.load import load_tokenizer
from coresift.models.render import Renderer

SYSTEM = ("system", "Be very brief.")
CONVERSATIONS = [
    [("user", "Who?"), ("assistant", "It was he.")],
    [("user", "Who?"), ("assistant", "    return 1")],
    [("user", "a\nb"), ("assistant", "It was he."), ("user", "  Sure?"), ("assistant", "Yes: 5 > 4\n\n- so")],
    [SYSTEM, ("user", "Who?"), ("assistant", "He.")],
    [SYSTEM, ("user", "Who?"), ("assistant", "He."), ("user", "Why?"), ("assistant", "So.")],
    [("user", "Name"), ("assistant", "\u00e9 \u4e2d\u6587 \U0001f600 123456")],
    [("user", "q"), ("assistant", "\nnew line first")],
]
MISTRAL = [
    "tokenizer.model.v1", "mistral_instruct_tokenizer_240216.model.v2", "mistral_instruct_tokenizer_240323.model.v3",
    "mistral_instruct_tokenizer_241114.model.v7", "tekken_240718.json", "tekken_240911.json",
]  # fmt: skip


def example(turns: list[tuple[str, str]]) -> Example:
    return Example(id="e", messages=tuple(Message(role, text) for role, text in turns))


@pytest.mark.slow
@pytest.mark.parametrize("file", MISTRAL)
def test_tokens_are_those_of_mistral_common(file: str, tmp_path: Path) -> None:
    pytest.importorskip("mistral_common.integrations.chat_templates.chat_templates")
    if not file.endswith("json"):
        pytest.importorskip("sentencepiece")
        pytest.importorskip("google.protobuf")
    import mistral_common
    from mistral_common.integrations.chat_templates.chat_templates import convert_tokenizer_to_chat_template
    from mistral_common.protocol.instruct.messages import AssistantMessage, SystemMessage, UserMessage
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.protocol.instruct.validator import ValidationMode
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    source = Path(mistral_common.__file__).parent / "data" / file
    tekken = file.endswith("json")
    shutil.copy(source, tmp_path / ("tekken.json" if tekken else "tokenizer.model"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast" if tekken else "LlamaTokenizer"}
    config |= {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text('{"model_type": "mistral"}')
    (tmp_path / "chat_template.jinja").write_text(convert_tokenizer_to_chat_template(source))
    renderer = Renderer(load_tokenizer(tmp_path), max_tokens=999)
    reference = MistralTokenizer.from_file(str(source), mode=ValidationMode.finetuning)
    kinds = {"user": UserMessage, "assistant": AssistantMessage, "system": SystemMessage}
    for turns in CONVERSATIONS:
        request = ChatCompletionRequest(messages=[kinds[role](content=text) for role, text in turns])
        assert list(renderer.render(example(turns)).tokens) == reference.encode_chat_completion(request).tokens


@pytest.mark.slow
def test_tokens_are_those_of_llama_models() -> None:
    llama_models = pytest.importorskip("llama_models")
    import trl
    from llama_models.datatypes import RawMessage
    from llama_models.llama3.chat_format import ChatFormat
    from llama_models.llama3.tokenizer import Tokenizer
    from transformers.convert_slow_tokenizer import TikTokenConverter

    file = Path(llama_models.__file__).parent / "llama3" / "tokenizer.model"
    reference = Tokenizer(file)
    special = sorted(reference.special_tokens, key=lambda name: int(reference.special_tokens[name]))
    backend = TikTokenConverter(str(file), pattern=Tokenizer.pat_str, extra_special_tokens=special).converted()
    made = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")
    made.chat_template = (Path(trl.__file__).parent / "chat_templates" / "llama3.jinja").read_text()
    renderer = Renderer(made, max_tokens=999)
    for turns in CONVERSATIONS:
        if any(text != text.strip() for _, text in turns):
            continue  # the template trims what the reference does not
        tokens = list(renderer.render(example(turns)).tokens)
        asked = [RawMessage(role=role, content=text) for role, text in turns]
        assert ChatFormat(reference).encode_dialog_prompt(asked).tokens[: len(tokens)] == tokens
