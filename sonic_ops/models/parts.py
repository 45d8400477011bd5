"""The networks of a preset by part, and which of them are on the device."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

STAGES: Final = (
    ("speech_encoder",),
    ("audio2token", "audio2bucket"),
    ("image_encoder",),
    ("vae",),
    ("unet",),
    ("flownet",),
)
"""Parts that are used together."""

_NOWHERE = torch.device("meta")  # has shapes and no numbers: what is left there cannot compute


class Parts:
    """Networks that come to the device when they are asked for.

    With `offload` those of one stage are there, until another stage is asked for; the weights of
    all others are in the memory of the CPU. They never change, so nothing is copied back.
    """

    def __init__(self, networks: Mapping[str, nn.Module], device: str, *, offload: bool) -> None:
        self._networks = dict(networks)
        self._device = torch.device(device)
        self._offload = offload
        self._kept = {name: _tensors(network) for name, network in networks.items()}
        for name in self._networks if offload else ():
            self._put(name, _NOWHERE)

    def __getitem__(self, name: str) -> Any:
        """The network, on the device."""
        if self._offload and name not in self.present:
            (stage,) = (stage for stage in STAGES if name in stage)
            for other in self.present:
                self._put(other, _NOWHERE)
            for part in stage:
                self._put(part, self._device)
        return self._networks[name]

    @property
    def present(self) -> tuple[str, ...]:
        """The parts that are on the device."""
        return tuple(name for name, network in self._networks.items() if _is_whole(network))

    def _put(self, name: str, device: torch.device) -> None:
        modules = dict(self._networks[name].named_modules())
        for (owner, attribute), kept in self._kept[name].items():
            tensor = kept.to(device)
            is_weight = isinstance(kept, nn.Parameter)
            moved = nn.Parameter(tensor, requires_grad=kept.requires_grad) if is_weight else tensor
            setattr(modules[owner], attribute, moved)


def _tensors(network: nn.Module) -> dict[tuple[str, str], Tensor]:
    """Weights and buffers by module and attribute; also buffers that no file holds."""
    return {
        (path, name): tensor
        for path, module in network.named_modules()
        for tensors in (module.named_parameters, module.named_buffers)
        for name, tensor in tensors(recurse=False)
    }


def _is_whole(network: nn.Module) -> bool:
    return all(weight.device != _NOWHERE for weight in network.parameters())
