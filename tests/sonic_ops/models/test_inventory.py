"""The full-size networks have the keys and shapes of the released checkpoints."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from sonic_ops.models.adapters import AudioToBucket, AudioToToken
from sonic_ops.models.released_sizes import UNET
from sonic_ops.models.unet import AudioUNet

INVENTORY = Path(__file__).parents[2] / "golden" / "inventory"


def full_size(name: str) -> nn.Module:
    with torch.device("meta"):
        match name:
            case "unet":
                return AudioUNet(UNET).unet
            case "audio2token":
                return AudioToToken()
            case _:
                return AudioToBucket()


@pytest.mark.parametrize("name", ["unet", "audio2token", "audio2bucket"])
def test_full_size_keys_and_shapes_equal_the_inventory(name: str) -> None:
    inventory = json.loads((INVENTORY / f"{name}_keys.json").read_text())
    ours = {key: list(value.shape) for key, value in full_size(name).state_dict().items()}
    assert ours == inventory
