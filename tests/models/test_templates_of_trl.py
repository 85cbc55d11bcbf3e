"""Every chat template that TRL ships, on ten kinds of conversation: what is predicted, what is refused and why."""

import re
from pathlib import Path

import pytest
import trl
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from coresift.data.pool import Example, Message, ToolCall
from coresift.models.render import Rendered, Renderer, RenderFault
from coresift.models.template import DATE, _with_fixed_clock

TEMPLATES = sorted((Path(trl.__file__).parent / "chat_templates").glob("*.jinja"))
TRAINING = [path for path in TEMPLATES if re.search(r"\{%-?\s*generation", path.read_text())]
MARKERS = re.compile(
    r"<\|[^|'\"\n{}]{1,40}\|>|<｜[^'\"<>]*｜>|</?think>|</?tool_call>|<bos>|<eos>|</s>|<(?:start|end)_of_turn>|<turn\|>|<\|turn>"
)
ENDS = (
    "<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|return|>", "<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>",
    "<|end|>", "<turn|>", "<|user|>", "</s>",
)  # fmt: skip
CALL = ToolCall("tide", '{"port": "Ax"}', "call00001")
TOOLS = (
    '[{"type": "function", "function": {"name": "tide", "description": "High tide.", "parameters": {"type": "object", '
    '"properties": {"port": {"type": "string", "description": "Which."}}, "required": ["port"]}}}]'
)


def user(text: str) -> Message:
    return Message("user", text)


def said(text: str, reasoning: str = "", *, learn: bool = True, calls: tuple[ToolCall, ...] = ()) -> Message:
    return Message("assistant", text, learn=learn, reasoning=reasoning, tool_calls=calls)


ANSWER = Message("tool", "12:30", name="tide", call_id="call00001")
CONVERSATIONS = {
    "one round": (user("2+2?"), said("Four")),
    "two rounds": (user("2+2?"), said("Four"), user("Sure?"), said("Yes:\n- so")),
    "system": (Message("system", "Be brief."), user("2+2?"), said("Four"), user("Sure?"), said("Yes")),
    "thoughts": (user("2+2?"), said("Four", "Add them."), user("Sure?"), said("Yes", "Check.")),
    "written thought": (user("2+2?"), said("<think>\nAdd them.\n</think>\n\nFour")),
    "mention": (user("2+2?"), said("Close it with </think> now")),
    "unlearned": (user("2+2?"), said("Five", learn=False), user("Sure?"), said("Four")),
    "tools": (user("Tide?"), said("Four")),
    "call": (user("Tide?"), said("", calls=(CALL,)), ANSWER, said("Then it is.")),
    "call and words": (user("Tide?"), said("Let me look.", calls=(CALL,)), ANSWER, said("Then it is.")),
}
NO_TOOLS = "does not show the tool(s| call)|refuses its turns .*(must alternate|Only user and assistant roles)"
REFUSED = {
    "system": "refuses its turns .*System role not supported",
    "thoughts": r"drops the thought \(<think>\) of assistant turn 2",
    "written thought": r"drops the thought \(<think>\) of assistant turn 1",
    "mention": "alters a response .*</think>",
    "tools": NO_TOOLS,
    "call": NO_TOOLS,
    "call and words": f"{NO_TOOLS}|not the text beside it",
}
"""What may be refused, and with which words."""


def renderer(path: Path) -> Renderer:
    """Bytes as tokens, and the special tokens that a template names."""
    text = path.read_text()
    found = sorted(set(MARKERS.findall(text)))
    eos = next((end for end in ENDS if end in found), "</s>")
    signs = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={sign: at for at, sign in enumerate(signs)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    names = dict.fromkeys([*found, "<BOS>", eos])
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    made = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<BOS>", eos_token=eos)
    made.chat_template = text
    return Renderer(made, max_tokens=9999)


def render(made: Renderer, kind: str) -> Rendered | RenderFault:
    tools = TOOLS if kind in ("tools", "call", "call and words") else ""
    return made.render_many([Example(id="e", messages=CONVERSATIONS[kind], tools=tools)])[0]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_what_is_learned_is_predicted_and_nothing_else(path: Path) -> None:
    made = renderer(path)
    for kind, messages in CONVERSATIONS.items():
        row = render(made, kind)
        if isinstance(row, RenderFault):
            assert kind in REFUSED and re.search(REFUSED[kind], row.reason), (kind, row.reason)
            continue
        runs = "".join("P" if wanted else " " for wanted in row.response)
        spelled = made.tokenizer.decode(row.response_tokens)
        for message in messages:
            if message.role == "assistant" and message.learn:
                assert message.content.removeprefix("<think>\nAdd them.\n</think>\n\n") in spelled, (kind, spelled)
            else:
                assert message.content not in spelled, (kind, spelled)
        if kind in ("thoughts", "written thought"):
            assert ("Check." if kind == "thoughts" else "Add them.") in spelled
            assert "Add them." in spelled or sum(row.notes.values()) == 1
        if "call" in kind:
            assert "Ax" in spelled and "port" in spelled and "High tide" not in spelled
        assert not runs.startswith("P") and runs.endswith("P")


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_trl_predicts_the_same_and_words_of_the_prompt_and_whitespace_after_the_end(path: Path) -> None:
    made = renderer(path)
    beyond = {
        "\n", "\n<|end|>",  # after the end marker; Phi-3 prints EOS behind everything
        "<|start|>assistant", "<｜Assistant｜>",  # the prompt's own header
        "<think>\n", "<think>\n\n</think>\n\n",  # what the prompt has opened
        "<think></think>", "<think></think>\n",  # Nemotron-3: the prompt opens a thought that the turn closes at once
    }  # fmt: skip
    for kind in ("one round", "two rounds", "thoughts"):
        row = render(made, kind)
        if isinstance(row, RenderFault):
            continue
        wording = made._wording
        shown = made.tokenizer.apply_chat_template(
            [dict(turn) for turn in wording.turns([wording.prepared(message) for message in CONVERSATIONS[kind]])],
            chat_template=_with_fixed_clock(path.read_text()), date_string=DATE,
            return_dict=True, return_assistant_tokens_mask=True,
        )  # fmt: skip
        tokens, mask = shown["input_ids"], [bool(wanted) for wanted in shown["assistant_masks"]]
        own = [*row.response, *[False] * (len(tokens) - len(row.response))]
        written = len(row.tokens) - (1 if made.facts.warnings and "is not a token" in str(made.facts.warnings) else 0)
        assert list(row.tokens[:written]) == tokens[:written]
        pairs = list(zip(own, mask, strict=False))[:written]
        assert (True, False) not in pairs, "TRL predicts everything that is predicted here"
        differs = "".join("T" if pair == (False, True) else " " for pair in zip(own, mask, strict=False))
        more = {made.tokenizer.decode(tokens[run.start() : run.end()]) for run in re.finditer("T+", differs)}
        assert more <= beyond, more - beyond
