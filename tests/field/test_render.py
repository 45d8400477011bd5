"""Whole renders of files of the field: every row is `done` with all of its speech, or refused."""

from contextlib import suppress
from pathlib import Path

import pytest

from flows.preflight.inputs import inspect_audio
from sonic_ops.audio.reading import duration_s
from sonic_ops.core.errors import InputError
from sonic_ops.media.inspection import probe_video
from tests.end_to_end.conftest import Bench, bench  # noqa: F401  a fixture
from tests.field.media import DATA, EXAMPLES, film_in, flipped, speech_in

pytestmark = [pytest.mark.flow, pytest.mark.slow]

ADA = str(EXAMPLES / "ada.png")


def promised(source: Path) -> float:
    """Seconds that the check before a render finds; 0 for a recording that it refuses."""
    with suppress(InputError):
        return inspect_audio(str(source), None, None).duration_s
    return 0.0


def test_whole_renders(bench: Bench, tmp_path: Path) -> None:  # noqa: F811
    names = ("one_packet.m4a", "eperm.m4a", "chained.ogg", "intro_and_speech.mp3", "late.mp4")
    recordings = {name: DATA / name for name in names}
    for ending in ("mp3", "m4a", "mkv", "ts"):
        write = speech_in if ending in {"mp3", "m4a"} else film_in
        source = write(tmp_path / f"a.{ending}", "-c:a", "libmp3lame" if ending == "mp3" else "aac")
        recordings[f"hurt.{ending}"] = flipped(source, tmp_path / f"hurt.{ending}", f"{ending}1")
    films = {name: DATA / name for name in ("fade_in.mp4", "phone_hlg.mov", "shift_jis.mp4")}
    rows: list[dict[str, object]] = [
        {"id": name, "portrait": ADA, "audio": str(path), "output": f"{name}.mp4"}
        | {"start": None, "end": None, "framing": None}
        for name, path in recordings.items()
    ]
    rows += [
        {"id": name, "portrait": str(path), "audio": str(EXAMPLES / "young_man.wav")}
        | {"output": f"{name}.mp4", "start": None, "end": 0.8, "framing": "paste"}
        for name, path in films.items()
    ]
    rows.append(
        {"id": "part", "portrait": ADA, "audio": str(DATA / "speech_then_pause.aac")}
        | {"output": "part.mp4", "start": 4.0, "end": 5.0, "framing": None}
    )
    ran = bench.run(bench.manifest(rows, tmp_path), bench.preset())
    for name, path in recordings.items():
        promised_s = promised(path)
        assert ran.results[name]["status"] == ("done" if promised_s else "failed")
        if promised_s:
            assert promised_s == duration_s(str(path))
            for length_s in (
                probe_video(tmp_path / f"{name}.mp4").duration_s,
                duration_s(str(tmp_path / f"{name}.mp4")),
            ):
                assert length_s == pytest.approx(promised_s, abs=0.04)
    assert {ran.results[name]["status"] for name in (*films, "part")} == {"done"}
    assert probe_video(tmp_path / "part.mp4").duration_s == pytest.approx(1, abs=1e-3)
    assert "the audio is damaged at 1.0 s" in " ".join(ran.text.split())
