"""The evaluation: what is true of a case, what the reader learns, and that a run goes on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sonic_ops.core.config import ModelsConfig, PortraitConfig, SamplingConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.presets import PipelineConfig
from sonic_ops.pipeline import SonicPipeline
from training.evaluation import measures, table
from training.evaluation.cases import Case, cut, drawn_person, frame_steps, make_case, silence
from training.evaluation.evaluation import Evaluation
from training.evaluation.figures import (
    Decoded,
    Figures,
    load_figures,
    save_figures,
    take_figures,
)
from training.evaluation.pose_dataset import paint_poses, train_reader
from training.evaluation.reader import HEAD, OPENING, PoseReader, readable
from training.evaluation.rendering import Renderer
from training.evaluation.results import Bar, Line
from training.evaluation.takes import PEOPLE, REAL, STYLE, EvaluationSet, Take, person_of
from training.people import styles
from training.people.motion import animate
from training.people.mouth import JAW, PRESS
from training.people.people import draw_identity, is_held_out
from training.speech.speech import Voice, speak

PERSON = 400_000_009


@pytest.fixture(scope="module")
def case() -> Case:
    spoken = speak("my mother baked a map of bamboo", Voice("en-us+f4", 50, 160, 50))
    return make_case("spoken", drawn_person(draw_identity(PERSON)), cut(spoken, 1.6), seed=1)


@pytest.fixture(scope="module")
def reader() -> PoseReader:
    text = "maybe my people bought a map of all the old boats"  # of many open and closed mouths
    spoken = speak(text, Voice("en-us", 50, 160, 50))
    track = animate(spoken, np.random.default_rng(0)).track
    return train_reader(paint_poses(range(30), track, 4, seed=0), steps=110, seed=1, batch=24)


def test_a_case_has_the_frames_of_its_sound_and_its_closures(case: Case) -> None:
    assert case.num_frames == 20
    opening = readable(case.poses_FK)[:, OPENING]
    frames = measures.closure_frames(opening, case.closures, shut=0.1)
    assert len(frames) >= 3
    assert opening[frames].max() < 0.1 < opening.mean()


def test_a_frame_shows_the_middle_of_its_output_frame() -> None:
    # Output frame 2f is shown from 0.08 f s for 0.04 s; steps last 10 ms.
    assert frame_steps(4, 100).tolist() == [2, 10, 18, 26]
    assert frame_steps(4, 20).tolist() == [2, 10, 18, 19]


def test_the_portrait_of_a_case_is_its_neutral_picture(case: Case) -> None:
    portrait = case.portrait(PortraitConfig(resolution=128))
    assert portrait.image_CHW.shape == (3, 128, 128)
    shown = ((portrait.image_CHW.permute(1, 2, 0) + 1) * 127.5).round().numpy()
    assert np.abs(shown - case.portrait_HW3).max() <= 1
    inside = portrait.face_HW > 0.5
    x, y = case.mouth
    assert inside[round(y), round(x)]
    assert 0.2 < inside.float().mean() < 0.6


def test_the_truth_moves_as_much_as_a_take_asks_for() -> None:
    spoken = speak("no", Voice("en-us+f4", 50, 160, 50))
    person = drawn_person(draw_identity(PERSON))
    once, twice = (
        readable(make_case("no", person, spoken, 1, head_motion=factor).poses_FK)
        for factor in (1.0, 2.0)
    )
    assert np.allclose(twice[:, HEAD], 2 * once[:, HEAD], atol=1e-6)
    assert np.allclose(np.delete(twice, HEAD, 1), np.delete(once, HEAD, 1))


def test_silence_keeps_the_true_mouth_shut() -> None:
    person = drawn_person(draw_identity(PERSON))
    quiet = make_case("quiet", person, silence(1.0, floor=1e-3, seed=0), seed=0)
    assert np.abs(quiet.poses_FK[:, JAW] * (1 - quiet.poses_FK[:, PRESS])).max() < 0.1
    assert quiet.closures == ()


def test_the_reader_learns_to_see_the_mouth_of_a_person_it_never_met(
    case: Case, reader: PoseReader
) -> None:
    assert is_held_out(PERSON)
    read = reader.read(case.truth_FHW3, case.portrait_HW3)
    assert measures.correlation(read[:, OPENING], readable(case.poses_FK)[:, OPENING]) > 0.5


def test_the_truth_measures_as_perfect(tmp_path: Path, case: Case, reader: PoseReader) -> None:
    still = Decoded(case.portrait_HW3, case.truth_FHW3)
    figures = take_figures(case, still, case.truth_FHW3, reader, {"denoise": 1.0})
    assert figures.pictures.flicker == figures.pictures.true_flicker > 0
    assert figures.pictures.decoded_db == 99
    assert figures.pictures.background_db > 45
    save_figures(figures, tmp_path / "figures.npz")
    again = load_figures(tmp_path / "figures.npz")
    assert np.array_equal(again.read_FK, figures.painted_FK)
    assert again.closures == case.closures
    assert (again.pictures, again.seconds) == (figures.pictures, figures.seconds)


def lines_of(results: dict[Take, Figures]) -> dict[str, Line]:
    return {line.measure: line for line in table.make_lines(results)}


def test_the_table_says_what_a_render_misses(case: Case, reader: PoseReader) -> None:
    seconds = dict.fromkeys(("denoise", "decode", "interpolate", "encode"), 1.0)
    truth = Decoded(case.portrait_HW3, case.truth_FHW3)
    good = take_figures(case, truth, case.truth_FHW3, reader, seconds)
    other = replace(good, true_FK=good.true_FK[::-1].copy(), read_FK=good.read_FK[::-1].copy())
    frozen = take_figures(case, truth, np.repeat(case.portrait_HW3[None], 20, 0), reader, seconds)
    late = replace(good, read_FK=np.roll(good.read_FK, 2, 0))
    lively = replace(good, read_FK=2 * good.read_FK)

    people = lines_of({Take(PEOPLE, 0): good, Take(PEOPLE, 1): other})
    assert people["size of the mouth's motion against truth"].value == pytest.approx(1)
    assert people["lag of the correlation's peak, frames"].value == 0
    cost = people["CPU seconds per second of video, one thread: the whole render"]
    assert cost.value == pytest.approx(4 / 1.6)
    assert cost.holds is False

    still = lines_of({Take(PEOPLE, 0): frozen})
    assert still["mouth, r against the true jaw, mean"].value == 0
    assert still["head motion against truth"].value < 0.05
    assert still["change from frame to frame in the upper face, against truth"].value == 0
    assert lines_of({Take(PEOPLE, 0): late})["lag of the correlation's peak, frames"].value == 2

    scaled = lines_of({Take(PEOPLE, 0): good, Take(PEOPLE, 0, head_motion=2.0): lively})
    assert scaled["head_motion 2: head against 1"].value == pytest.approx(2)
    assert scaled["head_motion 2: head against 1"].holds
    assert scaled["head_motion 2: brows against 1"].holds is False


def test_a_row_of_the_table_shows_the_bar_and_whether_it_holds() -> None:
    line = Line("mouth", 0.713, 0.6, 0.8, Bar(0.75), painted=0.98)
    last = table.markdown([line]).splitlines()[-1]
    assert last == "| mouth | 0.71 | 0.60 to 0.80 | >= 0.75 | **no** | 0.98 |  |"
    [row] = json.loads(table.as_json([line], {"seed": 1}))["lines"]
    assert (row["bar"], row["holds"], row["value"]) == (">= 0.75", False, 0.713)


def test_only_the_takes_of_the_style_have_the_held_out_style() -> None:
    spoken = speak("one two three four five six seven", Voice("en-us", 50, 160, 50))
    evaluation_set = EvaluationSet(num_clips=2, seconds=0.3, recordings=(("one", spoken),))
    takes = evaluation_set.takes()
    assert len(set(takes)) == len({take.name for take in takes}) == len(takes)
    assert len(evaluation_set.case(Take(REAL, 0)).samples) == 4800
    assert person_of(Take(STYLE, 1)).style == styles.HELD_OUT
    people = [person_of(Take(PEOPLE, index)) for index in range(5)]
    assert all(is_held_out(person.seed) and person.style != styles.HELD_OUT for person in people)
    assert len({person.seed for person in people}) == 5


@pytest.mark.slow
def test_an_evaluation_goes_on_where_it_was_cut_off(tmp_path: Path, reader: PoseReader) -> None:
    sampling = SamplingConfig(
        steps=2, image_guidance=(1, 1), audio_guidance=(1, 1), latent_origin="reference",
        residual_scale=0.45,
    )  # fmt: skip
    pipe = SonicPipeline.load(ModelsConfig(weights="package:sketch"))
    portrait = PortraitConfig(resolution=128)
    pipe.settings = PipelineConfig(portrait=portrait)
    renderer = Renderer(pipe, sampling)
    evaluation = Evaluation(
        renderer, lambda _: reader, EvaluationSet(1, 1.0, 1), tmp_path, {"steps": 2}
    )
    said: list[str] = []
    first = evaluation.run(said.append)
    assert len(said) == len(evaluation.evaluation_set.takes())
    assert (tmp_path / "people-00-seed0.png").exists()
    assert "autoencoder PSNR" in table.markdown(table.make_lines(first))

    (tmp_path / "figures" / "silence-00-seed0.npz").unlink()
    said.clear()
    again = evaluation.run(said.append)
    assert [line.split(": ")[1] for line in said] == ["silence-00-seed0"]
    assert all(np.array_equal(again[take].read_FK, first[take].read_FK) for take in first)
    with pytest.raises(ConfigError, match="other weights or settings"):
        replace(evaluation, about={"steps": 3}).run(said.append)
