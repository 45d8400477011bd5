"""The same fingerprint, the same video: what shows in it moves the fingerprint, nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flows.rows import fingerprint
from flows.rows.config import RenderConfig, load_preset
from flows.rows.fingerprint import fingerprint_of, weights_digest
from flows.rows.manifest import Line
from flows.rows.rows import Row, parse_row
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.weights import weights_folder

Print = Callable[..., str]


@pytest.fixture
def row() -> Row:
    cells = {"id": "a", "portrait": "p.png", "audio": "a.wav", "output": "o.mp4"}
    row = parse_row(Line(1, cells), "/in", None)
    assert isinstance(row, Row)
    return row


def of(row: Row, weights: str = "w", content: str = "", **settings: object) -> str:
    base = load_preset("sonic").model_dump()
    for name, value in settings.items():
        base[name] = base[name] | value if isinstance(value, dict) else value
    config = RenderConfig.model_validate(base)
    return fingerprint_of(row, config.for_row(row), weights, lambda url: url + content)


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1},
        {"segment_frames": 50},
        {"fusion": "at_end"},
        {"low_memory": True},
        {"sampling": {"steps": 24}},
        {"decoding": {"context_frames": 0}},
        {"media": {"crf": 20}},
        {"media": {"encoder": "nvenc"}},
        {"portrait": {"expand": 0.6}},
        {"provenance": {"mark": False}},
        {"provenance": {"label": "AI generated"}},
        {"provenance": {"key": "k.pem", "certificate": "c.pem"}},
        {"models": {"dtype": "float32"}},
        {"models": {"device": "cpu"}},
        {"cluster": {"threads_per_worker": 2}},
        {"weights": "other"},
        {"content": "changed"},
        {"audio": {"isolate_voice": True}},
    ],
)
def test_what_shows_in_the_video_moves_it(row: Row, settings: dict[str, object]) -> None:
    assert of(row, **settings) != of(row)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"cluster": {"workers": 7}},
        {"models": {"device": "cuda:1"}},
        {"models": {"weights": "the/same/elsewhere"}},
        {"rows_in_flight": 5},
        {"max_attempts": 1},
        {"keep_work": True},
        {"provenance": {"require_consent": True}},
        {"work": "s3://bucket/work"},
        {"lease_s": 7},
        {"checkpoint_every": 1},
        {"border_tolerance_frames": 5},
        {"overlap": 3},
        {"audio": {"background_gain": -6}},
    ],
)
def test_where_it_is_rendered_does_not(row: Row, settings: dict[str, object]) -> None:
    assert of(row, **settings) == of(row)  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"border_tolerance_frames": 5}, {"overlap": 3}])
def test_what_shows_only_in_fusion_at_the_end_moves_it_there(
    row: Row, settings: dict[str, object]
) -> None:
    assert of(row, fusion="at_end", **settings) != of(row, fusion="at_end")  # type: ignore[arg-type]


def test_a_new_key_lets_videos_stay_that_were_signed_with_the_old_one(row: Row) -> None:
    old, new = ({"key": f"{n}.key", "certificate": f"{n}.pem"} for n in ("old", "new"))
    assert of(row, provenance=old) == of(row, provenance=new)


def test_cells_that_decide_pixels_move_it(row: Row) -> None:
    changed = [
        replace(row, seed=5),
        replace(row, resolution=256),
        replace(row, framing="full"),
        replace(row, framing="paste"),
        replace(row, face=2),
        replace(row, face_box=(1, 2, 3, 4)),
        replace(row, head_motion=0.5),
        replace(row, expression=0.5),
        replace(row, audio_guidance=3.0),
        replace(row, start=1.0),
        replace(row, fps="30"),
        replace(row, scale_to=720),
        replace(row, end=1.0),
        replace(row, output="o.mkv"),
        replace(row, output="o.webm"),
        replace(row, language="en"),
        replace(row, subtitles="a.srt"),
    ]
    assert len({of(other) for other in (row, *changed)}) == len(changed) + 1


def test_a_cell_that_repeats_the_preset_does_not(row: Row) -> None:
    same = replace(row, seed=0, framing="face", head_motion=1.0, audio_guidance=7.5, fps="25")
    assert of(same) == of(row)
    assert of(replace(row, id="b", output="/x.mp4", consent="yes")) == of(row)


def test_an_animation_has_one_rate(row: Row) -> None:
    animation = replace(row, output="o.gif")
    assert of(animation, media={"fps": "60"}) == of(replace(animation, fps="30")) == of(animation)


def test_weights_are_known_by_content_and_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "w" / "unet").mkdir(parents=True)
    file = tmp_path / "w" / "unet" / "m.safetensors"
    file.write_bytes(b"1")
    first = weights_digest(tmp_path / "w")
    monkeypatch.setattr(fingerprint, "LARGE_BYTES", 1)
    assert weights_digest(tmp_path / "w") == first  # hashed, and remembered
    assert weights_digest(tmp_path / "w") == first  # from memory
    assert len(list((tmp_path / "cache" / "sonic-render" / "digests").iterdir())) == 1
    file.write_bytes(b"22")
    assert weights_digest(tmp_path / "w") != first
    file.rename(file.with_name("n.safetensors"))
    (tmp_path / "w" / "unet" / "n.safetensors").write_bytes(b"1")
    assert weights_digest(tmp_path / "w") != first


def test_a_folder_without_weights_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no weights in"):
        weights_folder(str(tmp_path / "nowhere"))


def write_weights(folder: Path) -> None:
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "config.json").write_text("{}")


def test_a_weights_folder_is_the_same_wherever_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_weights(tmp_path / "home" / "w")
    write_weights(tmp_path / "run" / "w")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "run")
    found = []
    for weights in ("w", "../run/w", "~/w", "package:sketch"):
        (tmp_path / "p.yaml").write_text(f"models: {{weights: '{weights}'}}")
        found.append(load_preset(str(tmp_path / "p.yaml")).models.weights)
    monkeypatch.chdir(tmp_path)
    here, home = tmp_path / "run" / "w", tmp_path / "home" / "w"
    assert [weights_folder(weights) for weights in found[:3]] == [here, here, home]
    assert found[3] == "package:sketch"  # it lies elsewhere on other machines


def test_stems_move_it_by_their_content_and_gain(row: Row) -> None:
    voiced, under = replace(row, voice="/in/v.wav"), replace(row, background="/in/b.wav")
    prints = {
        of(row),
        of(voiced),
        of(replace(row, voice="/in/w.wav")),
        of(under),
        of(replace(under, background_gain=-6.0)),
    }
    assert len(prints) == 5
    assert of(under, audio={"background_gain": -6}) == of(replace(under, background_gain=-6.0))
    assert of(voiced, audio={"isolate_voice": True}) == of(voiced)
