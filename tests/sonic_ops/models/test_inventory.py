"""The full-size networks have the keys and shapes of the released checkpoints."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sonic_ops.models.adapters import AudioToBucket, AudioToToken
from sonic_ops.models.unet import AudioUNet

INVENTORY = Path(__file__).parents[2] / "golden" / "inventory"
FULL_UNET: dict[str, Any] = {
    "block_out_channels": [320, 640, 1280, 1280],
    "num_attention_heads": [5, 10, 20, 20],
    "cross_attention_dim": 1024,
    "layers_per_block": 2,
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 768,
}


def full_size(name: str) -> nn.Module:
    with torch.device("meta"):
        match name:
            case "unet":
                return AudioUNet(FULL_UNET).unet
            case "audio2token":
                return AudioToToken()
            case _:
                return AudioToBucket()


@pytest.mark.parametrize("name", ["unet", "audio2token", "audio2bucket"])
def test_full_size_keys_and_shapes_equal_the_inventory(name: str) -> None:
    inventory = json.loads((INVENTORY / f"{name}_keys.json").read_text())
    ours = {key: list(value.shape) for key, value in full_size(name).state_dict().items()}
    assert ours == inventory
