"""A cache whose prefix any number of rows may continue, again and again. Imports transformers: reach it when needed."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer, LinearAttentionCacheLayerMixin


class PrefixLayer(DynamicLayer):
    """Hands every row the keys and values of the prefix and forgets what the rows add.

    So only one layer at a time holds keys and values once per row.

    Args:
        keys: [1, heads, prefix length, width].
        values: [1, heads, prefix length, width].
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Keys and values of prefix and rows, [rows, heads, prefix length + new, width]."""
        shared: tuple[Any, Any] = self.keys, self.values
        return _joined(shared[0], key_states), _joined(shared[1], value_states)


def shared_cache(model: nn.Module, prefix: Sequence[int]) -> Cache:
    """Read a prefix once."""
    # Without a configuration every layer keeps all positions, sliding windows too: the attention mask applies them.
    cache = DynamicCache()
    ids = torch.tensor([list(prefix)], device=next(model.parameters()).device)
    with torch.inference_mode():
        model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    layers: list[Any] = cache.layers
    return Cache(layers=[PrefixLayer(layer.keys, layer.values) for layer in layers])


def has_recurrent_layers(config: Any) -> bool:
    """Whether a model remembers a prefix in states that every token overwrites."""
    return any(isinstance(layer, LinearAttentionCacheLayerMixin) for layer in DynamicCache(config=config).layers)


def _joined(shared: Tensor, own: Tensor) -> Tensor:
    return torch.cat([shared.expand(own.shape[0], -1, -1, -1), own], dim=-2)
