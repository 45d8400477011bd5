"""A part of the audio: cut at its samples, and all of it is the same as no cut."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonic_ops.audio.reading import read_audio
from sonic_ops.audio.resampling import decode_audio
from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.media.finishing import Finish, finish_video
from sonic_ops.media.soundtrack import Soundtrack
from tests.sonic_ops.media.test_finishing import DURATION_S, NUM_FRAMES, noise, pictures


@pytest.mark.parametrize(("start_s", "end_s"), [(1.0, 2.5), (1 / 3, 1 / 3 + DURATION_S)])
def test_the_audio_of_a_part_is_cut_at_its_samples(
    tmp_path: Path, start_s: float, end_s: float
) -> None:
    audio = np.round(noise(44_100, 2, 3.0) * 2**23) / 2**23
    soundfile.write(tmp_path / "sound.wav", audio, 44_100, "PCM_24")
    track, wav = Soundtrack(str(tmp_path / "sound.wav"), start_s, end_s), tmp_path / "16k.wav"
    num_samples = decode_audio(track.source, wav, start_s=start_s, end_s=end_s)
    encode_frames(pictures(NUM_FRAMES), tmp_path / "0.mp4", EncodeSettings(preset="veryfast"))
    finish = Finish(track, wav, num_samples, NUM_FRAMES)
    info = finish_video([tmp_path / "0.mp4"], tmp_path / "video.mkv", finish)
    assert info.audio_offset_s == 0
    heard = [block.samples.T for block in read_audio(str(tmp_path / "video.mkv"))]
    first, last = round(44_100 * start_s), round(44_100 * end_s)
    assert np.array_equal(np.concatenate(heard), audio[first:last].astype(np.float32))


def test_a_part_that_is_all_of_the_audio_is_the_audio(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "sound.wav", noise(44_100, 2), 44_100)
    heard = []
    for index, end_s in enumerate((None, DURATION_S, 99.0)):
        target = tmp_path / f"{index}.wav"
        decode_audio(str(tmp_path / "sound.wav"), target, start_s=0.0, end_s=end_s)
        heard.append(target.read_bytes())
    assert heard[0] == heard[1] == heard[2]
