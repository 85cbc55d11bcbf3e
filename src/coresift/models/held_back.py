"""Templates that show a system text beside the last user turn only, and only where the user spoke last.

Of a conversation that ends with an answer such a template shows no system text at all. What it shows at inference, for
the last answer, is the conversation without that answer: there the system text stands beside the last user turn. So
this text is taken, and the answer goes on from it as in the rendering without a system text.
"""

from collections.abc import Sequence

from coresift.data.pool import Message
from coresift.models.template import TemplateMismatch
from coresift.models.wording import Shown


class HeldBack:
    """Renders conversations as `Shown` does, with the system text where the template shows it at inference.

    Args:
        show: Renders conversations as they are.
    """

    def __init__(self, show: Shown) -> None:
        self._show = show

    @property
    def blank_thoughts(self) -> bool:
        """As `Shown.blank_thoughts`."""
        return self._show.blank_thoughts

    def __call__(self, messages: Sequence[Message], *, prompt: bool = False) -> str:
        """The text of a conversation that ends with a turn of the assistant.

        Raises:
            TemplateMismatch: If the template refuses it, or does not show the system text at inference either.
        """
        bare = [message for message in messages if message.role != "system"]
        whole = self._show(bare, prompt=prompt)
        for asked in (True, False):
            context, without = self._show(messages[:-1], prompt=asked), self._show(bare[:-1], prompt=asked)
            if whole.startswith(without) and _has_one_text_more(context, without):
                return context + whole[len(without) :]
        raise TemplateMismatch(
            "the chat template does not show the system message. Remove it, put its text into the first user message, "
            "or choose another template with model.template."
        )


def _has_one_text_more(text: str, without: str) -> bool:
    """Whether `text` is `without` with something put in at one place."""
    same = 0
    while same < len(without) and text[same : same + 1] == without[same]:
        same += 1
    rest = len(without) - same
    return len(text) > len(without) and text.endswith(without[len(without) - rest :])
