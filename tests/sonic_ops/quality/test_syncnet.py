"""Facts of SyncNet and of what is made of its embeddings.

Shape letters: N embeddings, E numbers of each, L shifts of the audio, S samples.
"""

import json
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from sonic_ops.audio.resampling import SampleFile, decode_audio
from sonic_ops.core.errors import ConfigError
from sonic_ops.models.syncnet import SyncNet
from sonic_ops.quality.analysis import analyse_video
from sonic_ops.quality.cepstra import cepstra, num_steps_in
from sonic_ops.quality.crops import crop, squares_of
from sonic_ops.quality.frame_analysis import frames_of
from sonic_ops.quality.syncing import with_syncnet
from sonic_ops.quality.syncnet import (
    MAX_SHIFT,
    MIN_SEEN,
    SyncNetScorer,
    Verdict,
    by_chance,
    distances,
    embed_audio,
    embed_video,
    load_scorer,
    verdict,
)
from tests.syncnet import (
    LIP_GAIN,
    LIP_OFFSET,
    SOUND_GAIN,
    SOUND_OFFSET,
    make_speaker,
    readable_weights,
    save_weights,
)

Floats = NDArray[np.floating]
INVENTORY = Path(__file__).parents[2] / "golden" / "inventory" / "syncnet_keys.json"


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> SyncNetScorer:
    return load_scorer(save_weights(tmp_path_factory.mktemp("weights") / "syncnet_v2.model"), "cpu")


def random_scorer() -> SyncNetScorer:
    torch.manual_seed(0)
    return SyncNetScorer(SyncNet().eval(), "cpu", "random")


def embedded(num: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((num, 8)).astype(np.float32)


def test_keys_and_shapes_are_those_of_the_release() -> None:
    found = {
        name: list(value.shape)
        for name, value in SyncNet().state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert found == json.loads(INVENTORY.read_text())


def test_lips_are_blue_first_and_five_frames(scorer: SyncNetScorer) -> None:
    blue = np.arange(10, 40, dtype=np.uint8)
    faces = (np.full((224, 224, 3), (200, 90, b), np.uint8) for b in blue)
    found = np.concatenate(list(embed_video(scorer, faces)))
    expected = LIP_GAIN * (blue[1:-3] / 2 + blue[2:-2] / 2) + LIP_OFFSET
    assert found.shape == (26, 1024)
    assert found[:, 0] == pytest.approx(expected, rel=1e-4)
    assert not found[:, 1:].any()


def test_audio_are_heard_for_a_fifth_of_a_second_from_their_frame_on(
    scorer: SyncNetScorer,
) -> None:
    audio_S = np.random.default_rng(0).uniform(-0.3, 0.3, 640 * 30).astype(np.float32)
    audio_S *= np.repeat(np.random.default_rng(1).uniform(0.1, 1, 30), 640).astype(np.float32)
    found = np.concatenate(list(embed_audio(scorer, audio_S, 25)))
    steps = cepstra(audio_S, 0, 116)
    heard = [max(steps[4 * n + 4 : 4 * n + 11, :5].max(), 0) for n in range(25)]
    assert found.shape == (25, 1024)
    assert found[:, 0] == pytest.approx(SOUND_GAIN * np.array(heard) + SOUND_OFFSET, rel=1e-4)
    assert np.ptp(found[:, 0]) > 1


def test_an_embedding_is_the_same_in_any_block() -> None:
    scorer = random_scorer()
    faces = np.random.default_rng(0).integers(0, 256, (22, 224, 224, 3), dtype=np.uint8)
    found = np.concatenate(list(embed_video(scorer, faces)))
    for n in (0, 14, 15, 16, 17):
        (alone,) = embed_video(scorer, faces[n : n + 5])
        assert found[n] == pytest.approx(alone[0], abs=1e-5)
    assert len(found) == 18
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_few_faces_are_kept_at_once(scorer: SyncNetScorer) -> None:
    alive: list[weakref.ref[NDArray[np.uint8]]] = []
    most = 0

    def faces() -> Iterator[NDArray[np.uint8]]:
        nonlocal most
        for _ in range(44):
            face = np.zeros((224, 224, 3), np.uint8)
            alive.append(weakref.ref(face))
            most = max(most, sum(ref() is not None for ref in alive))
            yield face

    assert sum(map(len, embed_video(scorer, faces()))) == 40
    assert most <= 21


@pytest.mark.parametrize("moved", [0, 7])
def test_distances_are_those_of_every_pair_and_nothing_is_zeros(moved: int) -> None:
    lips, recordings = embedded(40), embedded(40, 1)
    found = distances(lips, recordings, moved)
    for n in range(40):
        for shift in range(-MAX_SHIFT, MAX_SHIFT + 1):
            heard = recordings[(n + shift + moved) % 40] if 0 <= n + shift < 40 else np.zeros(8)
            apart = np.sqrt(((lips[n] - heard) ** 2).sum())
            assert found[n, shift + MAX_SHIFT] == pytest.approx(apart, abs=1e-4)


def test_distances_are_the_same_over_blocks() -> None:
    lips, recordings = embedded(600), embedded(600, 1)
    whole = distances(lips, recordings)
    late = distances(lips[500:], recordings[500:])
    assert whole[520:] == pytest.approx(late[20:], abs=1e-6)


@pytest.mark.parametrize("late", [-4, 0, 6])
def test_the_offset_is_how_late_the_lips_are(late: int) -> None:
    recordings = embedded(200)
    said = verdict(distances(np.roll(recordings, late, axis=0), recordings))
    assert said.offset_ms == 40 * late
    assert said.distance is not None
    assert said.confidence is not None
    assert said.distance < 0.1 * said.confidence


def test_the_confidence_is_the_median_less_the_least() -> None:
    track = np.full((50, 31), 9.0)
    track[:, :10] = 12.0  # the median of all 31 stays 9
    track[::2, 20], track[1::2, 20] = 4.0, 7.0
    assert verdict(track) == Verdict(confidence=3.5, distance=5.5, offset_ms=-200.0)
    assert verdict(track[: MIN_SEEN - 1]) == Verdict()


def test_audio_of_other_times_fits_no_lips() -> None:
    recordings = embedded(300)
    own, chance = verdict(distances(recordings, recordings)), by_chance(recordings, recordings)
    assert own.confidence is not None
    assert chance.confidence is not None
    assert chance.confidence < 0.1 * own.confidence
    assert chance.offset_ms is None
    assert by_chance(recordings[:20], recordings[:20]) == Verdict()


@pytest.mark.parametrize(("late", "fps"), [(3, 25), pytest.param(-2, 50, marks=pytest.mark.slow)])
def test_a_video_whose_image_is_late_is_found_to_be(
    scorer: SyncNetScorer, tmp_path: Path, late: int, fps: int
) -> None:
    video = make_speaker(tmp_path / "speaker.mp4", 64, late=late, fps=fps)
    before = analyse_video(video)
    analysis = with_syncnet(before, video, scorer)
    found, still, chance = analysis.measures, analysis.still, analysis.shuffled
    assert found.syncnet_offset_ms == 40 * late
    assert found.syncnet_confidence is not None
    assert still.syncnet_confidence is not None
    assert chance.syncnet_confidence is not None
    others = still.syncnet_confidence, chance.syncnet_confidence
    assert found.syncnet_confidence > 1.5 * max(others)
    (part,) = analysis.parts
    assert part.measures.syncnet_distance == pytest.approx(found.syncnet_distance)
    assert analysis.syncnet == scorer.digest
    assert found.lip_sync == before.measures.lip_sync


def by_the_release(video: Path, scorer: SyncNetScorer, folder: Path) -> Verdict:
    """The figures of a video at 25 frames per second as the release computes them: all of it in
    memory, every span on its own."""
    pictures = [shown.frame_HW3 for shown in frames_of(video)]
    squares = squares_of(pictures)
    assert squares is not None
    crops = [crop(*pair)[..., ::-1] for pair in zip(pictures, squares, strict=True)]
    faces_3THW = torch.from_numpy(np.stack(crops)).float().permute(3, 0, 1, 2)
    num_samples = decode_audio(str(video), folder / "sound.wav")
    steps = cepstra(SampleFile(str(folder / "sound.wav")), 0, num_steps_in(num_samples))
    num = min(len(pictures), num_samples // 640) - 5
    with torch.inference_mode():
        lips = torch.cat([scorer.network.embed_video(faces_3THW[:, n : n + 5]) for n in range(num)])
        spans = [torch.from_numpy(steps[4 * n : 4 * n + 20].T.copy())[None] for n in range(num)]
        recordings = torch.cat([scorer.network.embed_audio(span) for span in spans])
    padded = F.pad(recordings, (0, 0, 15, 15))
    apart = [F.pairwise_distance(lips[n].repeat(31, 1), padded[n : n + 31]) for n in range(num)]
    mean_L = torch.stack(apart).mean(0)
    least, best = mean_L.min(0)
    # Unlike the release, nothing is said of an offset at the limit of the search.
    offset_ms = 40.0 * (15 - int(best)) if 0 < best < 30 else None
    return Verdict(float(mean_L.median() - least), float(least), offset_ms)


def test_the_figures_of_a_video_are_those_of_the_release(tmp_path: Path) -> None:
    scorer = random_scorer()
    video = make_speaker(tmp_path / "speaker.mp4", 44)
    found = with_syncnet(analyse_video(video), video, scorer).measures
    expected = by_the_release(video, scorer, tmp_path)
    assert expected.confidence is not None
    assert expected.confidence > 1e-3
    assert found.syncnet_confidence == pytest.approx(expected.confidence, rel=1e-3)
    assert found.syncnet_distance == pytest.approx(expected.distance, rel=1e-5)
    assert found.syncnet_offset_ms == expected.offset_ms


@pytest.mark.slow
def test_a_part_has_the_figures_of_its_own_time(scorer: SyncNetScorer, tmp_path: Path) -> None:
    video = make_speaker(tmp_path / "speaker.mp4", 90, late=2)
    analysis = analyse_video(video)
    (whole,) = analysis.parts
    halves = replace(whole, stop_s=1.6), replace(whole, start_s=1.6)
    asked = with_syncnet(replace(analysis, parts=halves), video, scorer)
    parts, all_of_it = asked.parts, asked.measures
    distance = [part.measures.syncnet_distance for part in parts]
    assert [part.measures.syncnet_offset_ms for part in parts] == [80, 80]
    assert None not in distance
    assert distance[0] != distance[1]
    mean = (40 * distance[0] + 45 * distance[1]) / 85  # type: ignore[operator]
    assert mean == pytest.approx(all_of_it.syncnet_distance, rel=1e-4)


@pytest.mark.parametrize("num_frames", [20, 35])
def test_a_video_that_is_too_short_has_no_figures(
    scorer: SyncNetScorer, tmp_path: Path, num_frames: int
) -> None:
    video = make_speaker(tmp_path / "speaker.mp4", num_frames)
    analysis = with_syncnet(analyse_video(video), video, scorer)
    assert analysis.measures.syncnet_distance is None
    assert analysis.syncnet == scorer.digest


Saved = Callable[[Path, dict[str, Tensor]], None]


def as_zip(path: Path, weights: dict[str, Tensor]) -> None:
    torch.save(weights, path)


def as_safetensors(path: Path, weights: dict[str, Tensor]) -> None:
    save_file(weights, path)


@pytest.mark.parametrize(
    ("name", "save"),
    [("new.model", as_zip), ("s.safetensors", as_safetensors), ("old.model", save_weights)],
)
def test_every_form_of_the_weights_is_read(tmp_path: Path, name: str, save: Saved) -> None:
    torch.manual_seed(1)
    weights = SyncNet().state_dict()
    save(tmp_path / name, weights)
    found = load_scorer(tmp_path / name, "cpu")
    assert not found.network.training
    for key, value in found.network.state_dict().items():
        assert torch.equal(value, weights[key])


def test_weights_of_another_network_are_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "wrong.safetensors"
    wrong = readable_weights()
    wrong["netfcaud.9.bias"] = wrong.pop("netfcaud.3.bias")
    wrong["netfclip.3.bias"] = torch.zeros(256)
    save_file(wrong, path)
    with pytest.raises(ConfigError) as caught:
        load_scorer(path, "cpu")
    assert caught.value.message == (
        f"{path} are not the weights of SyncNet: 1 weights are missing (netfcaud.3.bias), "
        "1 weights are unknown (netfcaud.9.bias), "
        "1 weights are of another shape (netfclip.3.bias: 256 and not 1024)"
    )


def test_what_is_no_table_of_weights_is_never_run(tmp_path: Path) -> None:
    hurt = tmp_path / "hurt"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (hurt,)

    path = tmp_path / "evil.model"
    torch.save({"netfcaud.0.bias": Evil()}, path)
    with pytest.raises(ConfigError):
        load_scorer(path, "cpu")
    assert not hurt.exists()
    with pytest.raises(ConfigError, match="do not exist"):
        load_scorer(tmp_path / "none.model", "cpu")
