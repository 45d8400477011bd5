"""Settings that the machine decides."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from sonic_ops import config
from sonic_ops.config import ModelsConfig


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [("avx2 avx512f", "float32"), ("avx512_bf16", "bfloat16"), ("amx_bf16 avx2", "bfloat16")],
)
def test_auto_is_bfloat16_where_the_cpu_computes_in_it(
    flags: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text(f"model name\t: a CPU\nflags\t\t: fpu {flags}\n")
    monkeypatch.setattr(config, "_CPU_FACTS", facts)
    assert ModelsConfig.model_validate({"weights": "there", "dtype": "auto"}).dtype == dtype


def test_auto_without_facts_is_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "_CPU_FACTS", tmp_path / "none")
    assert ModelsConfig.model_validate({"weights": "there", "dtype": "auto"}).dtype == "float32"


def test_auto_on_a_gpu_is_bfloat16() -> None:
    given = {"weights": "there", "device": "cuda:1", "dtype": "auto"}
    assert ModelsConfig.model_validate(given).dtype == "bfloat16"


def test_an_unknown_precision_is_an_error() -> None:
    with pytest.raises(ValidationError, match="dtype"):
        ModelsConfig.model_validate({"weights": "there", "dtype": "float8"})
