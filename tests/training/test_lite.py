"""The evaluation of `lite`: what FaceMesh reads, what is rendered, and what the table says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bench.lite import CARD, PHOTOGRAPHS, drift_rows, speed_rows
from tests.bench.tables import replaced
from training.evaluation import measures
from training.evaluation.drift_and_speed import PRESETS
from training.evaluation.figures import Figures, Pictures
from training.evaluation.lite_set import SIZE, LiteSet
from training.evaluation.lite_table import ceilings, lite_lines, markdown
from training.evaluation.mesh_reader import WIDE, MeshReader
from training.evaluation.mouth_lines import READ_SHUT
from training.evaluation.reader import HEAD, LIDS, NUM_READ, OPENING, readable
from training.evaluation.sheets import grids
from training.evaluation.takes import DRAWN, HEADS, KINDS, Take
from training.evaluation.takes import PHOTOGRAPHS as PHOTOGRAPH
from training.people.faces import NEUTRAL
from training.people.heads.painter import HeadPainter
from training.people.motion import BLINK, NUM_CHANNELS, YAW
from training.people.mouth import JAW, PRESS
from training.speech.languages import foreign_speech

FRAMES = 14
LITE_SET = LiteSet(PHOTOGRAPHS[:1], num_clips=2, seconds=0.8)


def test_facemesh_reads_what_a_head_was_painted_with() -> None:
    head = HeadPainter(509, size=160)
    track = np.zeros((FRAMES, NUM_CHANNELS), np.float32)
    track[:, JAW] = 0.45 + 0.45 * np.sin(1.1 * np.arange(FRAMES))
    track[5, JAW], track[5, PRESS] = 0, 1
    track[9, BLINK] = 1
    track[:, YAW] = np.linspace(-0.25, 0.25, FRAMES)
    frames = np.stack([head.paint(pose) for pose in track])
    read, true = MeshReader(WIDE[HEADS]).read(frames, head.paint(NEUTRAL)), readable(track)
    assert measures.correlation(read[:, OPENING], true[:, OPENING]) > 0.9
    assert read[5, OPENING] < READ_SHUT < np.median(read[:, OPENING])
    assert 0.5 < read[:, OPENING].std() / true[:, OPENING].std() < 2
    assert measures.count_blinks(read[:, LIDS]) == 1
    assert read[9, LIDS] > 0.5
    assert abs(measures.correlation(read[:, HEAD][:, 3], true[:, HEAD][:, 0])) > 0.9


def test_the_truth_is_painted_where_it_is_known_and_once() -> None:
    takes = LITE_SET.takes()
    assert len(set(takes)) == len({take.name for take in takes}) == len(takes)
    drawn, scaled, photograph = (
        LITE_SET.case(take)
        for take in (Take(DRAWN, 0), Take(DRAWN, 0, expression=2.0), Take(PHOTOGRAPH, 1))
    )
    assert drawn.truth_FHW3.shape == (10, SIZE, SIZE, 3)
    assert len(LITE_SET.case(Take(DRAWN, 0, seed=1)).truth_FHW3) == 0
    assert len(scaled.truth_FHW3) == len(photograph.truth_FHW3) == 0
    assert scaled.num_frames == photograph.num_frames == 10
    assert np.array_equal(drawn.portrait_HW3, scaled.portrait_HW3)


def test_a_photograph_is_cut_around_its_face() -> None:
    case = LITE_SET.case(Take(PHOTOGRAPH, 0))
    assert case.portrait_HW3.shape == (SIZE, SIZE, 3)
    left, top, right, bottom = case.box
    assert abs((left + right) / 2 - SIZE / 2) < 0.1 * SIZE
    assert 0.35 * SIZE < right - left < 0.65 * SIZE
    assert bottom - top > right - left
    with Image.open(PHOTOGRAPHS[0]) as image:
        assert image.width > (right - left) * 2


def test_the_frames_to_count_do_not_depend_on_the_number_of_clips() -> None:
    chosen = LITE_SET.frames_to_count(Take(HEADS, 1, seed=1))
    assert list(chosen) == sorted(set(chosen))
    assert set(chosen) <= set(range(10))
    long = replace(LITE_SET, num_clips=9, seconds=4.0)
    assert len(long.frames_to_count(Take(HEADS, 1))) == 13
    assert long.frames_to_count(Take(HEADS, 1)) == replace(long, num_clips=3).frames_to_count(
        Take(HEADS, 1)
    )
    assert LITE_SET.frames_to_count(Take("heads-German", 0)) == ()


def test_every_language_is_spoken_by_a_held_out_voice_for_the_whole_time() -> None:
    first, again = (foreign_speech("French", 0, 5.0) for _ in range(2))
    assert len(first.samples) == 5 * 16000
    assert np.array_equal(first.samples, again.samples)
    assert np.abs(first.samples[-8000:]).max() > 0.01
    assert 4.5 < max(phone.start_s for phone in first.phones) < 5.0
    assert not np.array_equal(first.samples, foreign_speech("French", 2, 5.0).samples)


def test_sheets_hold_all_pictures_in_their_order() -> None:
    frames = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 3), np.uint8)
    first, second = grids(frames, 2, 2)
    assert first.shape == (4, 6, 3)
    assert [first[0, 0, 0], first[0, 3, 0], first[2, 0, 0], first[2, 3, 0]] == [0, 1, 2, 3]
    assert (second[0, 0, 0], second[0, 3, 0]) == (4, 255)


def figures(opening: np.ndarray, *, is_known: bool) -> Figures:  # type: ignore[type-arg]
    """Poses whose mouth opens so, where the truth is known or not."""
    true = np.zeros((len(opening), NUM_READ), np.float32)
    true[:, OPENING] = np.abs(np.sin(np.arange(len(opening))))
    read, painted = true.copy(), true if is_known else np.full_like(true, np.nan)
    read[:, OPENING] = opening
    known = Pictures(1.0, 0.7, decoded_db=33.0, decoded_mouth_db=29.0, decoded_sharpness=0.95)
    pictures = known if is_known else Pictures(1.0, 0.7)
    return Figures(true, painted, painted, read, (), pictures, {})


def test_the_table_says_by_how_much_a_bar_is_missed() -> None:
    opening = np.abs(np.sin(np.arange(50)))
    results = {
        Take(kind, 0, seed): figures(0.5 * opening, is_known=kind != PHOTOGRAPH and seed == 0)
        for kind in KINDS
        for seed in (0, 1)
    }
    results[Take(DRAWN, 0, 1)] = figures(np.roll(opening, 2), is_known=False)
    lines = lite_lines(results)
    rows = {row.split(" | ")[0][2:]: row.split(" | ")[1:] for row in markdown(lines).splitlines()}
    bars, drawn, heads, photographs = rows["decoder alone against the truth, whole, dB"]
    assert (bars, photographs) == (">= 34; >= 34; -", " |")
    assert drawn == heads == "33.0 (33.0 to 33.0): **missed by 1.00**"
    sharpness = rows["sharpness: decoder against the truth; render of a photograph against it"]
    assert sharpness[1] == "0.95 (0.95 to 0.95): met"
    assert sharpness[3] == "0.70 (0.70 to 0.70): **missed by 0.20** |"
    assert rows["mouth opening against the true jaw, r, mean"][2] == "1.00 (1.00 to 1.00): met"
    assert "missed" in rows["the same, worst render"][1]
    size = rows["size of mouth motion against the truth"]
    assert size[1].startswith("0.75 ")
    assert size[2] == "0.50 (0.50 to 0.50): **missed by 0.35**"
    assert size[3] == "0.50 (0.50 to 0.50) |"  # no bar: a photograph against its track
    assert "| the same, worst render | 1.00 | 1.00 | 1.00 | 1.00 |" in ceilings(lines)


@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_photographs_that_the_command_takes_are_there(photograph: Path) -> None:
    with Image.open(photograph) as image:
        assert min(image.size) >= SIZE


def test_every_part_of_a_long_render_hears_the_same() -> None:
    case = LITE_SET.long_case(DRAWN, 61.0)
    first, second = (case.samples[s * 16000 : (s + 30) * 16000] for s in (0, 30))
    assert np.array_equal(first, second)
    assert len(case.samples) == 61 * 16000
    assert case.num_frames == 762
    assert len(case.truth_FHW3) == 0


def test_the_rows_of_drift_and_speed_say_what_is_missed() -> None:
    drift = {"changes_pct": {"sharpness_pct": -4.0}, "borders": [1.01, 0.97, 1.04]}
    changes, borders = drift_rows(dict.fromkeys(KINDS, drift), 60)
    assert changes.startswith("| 60 s, last 30 s against the first, %: sharpness | -3 to 3 |")
    assert changes.count("-4.00: **missed by 1.00**") == 3
    assert borders.count("1.01 (0.97 to 1.04): met") == 3
    run = {"portrait": 0.1, "listen": 0.1, "denoise": 1.0, "decode": 0.5, "interpolate": 0.2,
           "encode": 0.1}  # fmt: skip
    rows = list(speed_rows({preset: [run, run] for preset in PRESETS}))
    assert "| <= 1; -; - | 2.00 (2.00 to 2.00): **missed by 1.00** |" in rows[1]
    assert "`lite-hd` | <= 1.5; -; - |" in rows[2]
    assert "0.25 (0.25 to 0.25): **missed by 0.10**" in rows[3]


def test_the_card_has_a_place_for_the_table() -> None:
    assert replaced(CARD.read_text(), "bars", ["new"], "card").count("\nnew\n") == 1
