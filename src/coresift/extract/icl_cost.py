"""What utilities cost, in floating-point operations: the yardstick that timings are read against.

Per pair, with P the weights of the layers, H those of the vocabulary projection, and e, q, r the tokens of example,
query and response:

    one by one, logits everywhere            2 (P + H) (e + q + r)
    prefix shared by m rows                  2 P (q + r + e / m) + 2 H r

The products of attention are left out, as is usual; they favour sharing less than the rest does.
"""

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, slots=True)
class ModelCost:
    """Weights that every token, or every predicted token, is multiplied with.

    Attributes:
        body: Weights of the layers.
        head: Weights of the vocabulary projection.
    """

    body: int
    head: int

    def flops(self, tokens: float, predicted: float) -> float:
        """Operations of a forward pass over `tokens` tokens with logits of `predicted` of them."""
        return 2.0 * (self.body * tokens + self.head * predicted)

    def naive(self, example: int, query: int, response: int) -> float:
        """One pair, encoded whole, logits at all positions."""
        length = example + query + response
        return self.flops(length, length)

    def shared(self, example: int, query: int, response: int, rows: int) -> float:
        """One pair of a column of `rows` pairs that share the example's keys and values."""
        return self.flops(query + response + example / rows, response)


def model_cost(model: nn.Module) -> ModelCost:
    """Count the weights of a model; embedding tables cost nothing unless they are tied to the projection."""
    head, tables = model.get_output_embeddings(), model.get_input_embeddings()  # type: ignore[operator]
    size = 0 if head is None else sum(weight.numel() for weight in head.parameters())
    parts = [part for part in (head, tables) if part is not None]
    outside = {id(weight): weight.numel() for part in parts for weight in part.parameters()}
    return ModelCost(sum(weight.numel() for weight in model.parameters()) - sum(outside.values()), size)
