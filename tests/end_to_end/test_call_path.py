"""Between the command and the first UNet call lie few calls: whoever reads the code walks them."""

import sys
import threading
from pathlib import Path
from types import FrameType

import pytest
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from flows.cli import main
from sonic_ops.models.unet import AudioUNet
from tests.end_to_end.conftest import Bench
from tests.flows.conftest import FACE, REPOSITORY, SPEECH

pytestmark = pytest.mark.flow

MAX_CALLS, MAX_FILES = 31, 19
"""As few as it has come to; the goal is 26 calls in 13 files."""
PRODUCT = [str(REPOSITORY / name) for name in ("flows", "cluster", "sonic_ops")]
BEFORE = (
    "flows/__main__.py: main",
    "flows/supervisor/program.py: run",
    "flows/__main__.py: _command",
)
"""The command is forked by its supervisor, which this test does without."""


def calls_of(frame: FrameType | None) -> list[str]:
    """Name the product's functions on a stack, from the outermost to the innermost."""
    calls: list[str] = []
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(tuple(PRODUCT)):
            calls.append(f"{Path(code.co_filename).relative_to(REPOSITORY)}: {code.co_qualname}")
        frame = frame.f_back
    return calls[::-1]


def test_few_calls_lie_between_the_command_and_the_unet(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[str] = []

    def note(module: nn.Module, _: object) -> None:
        if isinstance(module, AudioUNet) and not walked:
            outer = calls_of(sys._current_frames()[threading.main_thread().ident or 0])
            walked.extend([*BEFORE, *outer, *calls_of(sys._getframe())])

    row = {"id": "a", "portrait": str(FACE), "audio": str(SPEECH), "output": "a.mp4", "end": 0.5}
    manifest = bench.manifest([row], tmp_path / "rows")
    arguments = ["render", manifest, "--preset", bench.preset(), "--no-report"]
    monkeypatch.setattr(sys, "argv", ["sonic", *arguments])
    hook = register_module_forward_pre_hook(note)
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        hook.remove()
    assert ended.value.code == 0
    files = {call.partition(":")[0] for call in walked}
    shown = "\n".join([*walked, f"{len(walked)} calls in {len(files)} files"])
    print(shown)
    assert "denoise_window" in shown
    assert (len(walked) <= MAX_CALLS, len(files) <= MAX_FILES) == (True, True), shown
