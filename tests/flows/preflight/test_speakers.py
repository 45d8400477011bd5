"""A table of speakers against its film and its audio: one sentence for each mistake."""

import numpy as np
import pytest
import soundfile

from flows.rows.planned import PlannedRow
from flows.rows.rows import BadRow
from tests import films
from tests.flows.preflight.test_dubs import Files

RATE_HZ = 16_000
TURNS = "start,end,speaker,face\n0,0.4,anna,1\n0.4,1,ben,2\n"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Two people beside each other, for a second."""
    made = Files(tmp_path_factory.mktemp("rows"))
    both = films.beside(films.talking(25), films.talking(25, "ben"))
    films.write_film(made.folder / "talk.mp4", both)
    films.write_film(made.folder / "one.mp4", films.talking(25))
    made.write_audio("talk.wav", 1.0)
    made.write_audio("other.wav", 1.0)
    return made


def checked(two: Files, table: str, **cells: str) -> PlannedRow | BadRow:
    (two.folder / "turns.csv").write_text(table)
    return two.check(**{"speakers": "turns.csv"} | cells)


def test_two_people_are_planned(two: Files) -> None:
    found = checked(two, TURNS)
    assert isinstance(found, PlannedRow), found
    assert found.film is not None
    assert found.film.num_people == 2
    alone = two.check(face="1")
    assert isinstance(alone, PlannedRow)
    assert found.plan.num_unet_calls == 2 * alone.plan.num_unet_calls
    assert not any("faces in the film" in note for note in found.notes)
    other = checked(two, TURNS.replace("0.4", "0.5"))
    assert isinstance(other, PlannedRow)
    assert other.fingerprint != found.fingerprint


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "start,end,speaker,face\n0,0.6,anna,1\n0.3,1,ben,2\n",
            "turns.csv line 3: anna and ben both speak from 0.3 to 0.6 s, and one recording moves",
        ),
        (
            "start,end,speaker,face,voice\n0,0.6,anna,1,talk.wav\n0.3,1,ben,1,other.wav\n",
            "turns.csv line 3: anna and ben both speak from 0.3 to 0.6 s with one face",
        ),
        (
            "start,end,speaker,face\n0,0.6,anna,1\n0.6,1,ben,\n",
            "turns.csv line 3: nothing says which face 'ben' is",
        ),
        (
            "start,end,speaker,position\n0,0.6,anna,100 900\n",
            "turns.csv line 2: the position 100 900 is outside of the film, which has 640 x 240",
        ),
        (
            "start,end,speaker,face,voice\n0,0.6,anna,1,none.wav\n",
            "none.wav",
        ),
    ],
)
def test_mistakes_get_a_sentence(table: str, said: str, two: Files) -> None:
    found = checked(two, table)
    assert isinstance(found, BadRow), found
    (error,) = found.errors
    assert error.field == "speakers"
    assert said in error.message
    assert error.remedy


def test_voices_of_their_own_may_speak_at_once(two: Files) -> None:
    table = "start,end,speaker,face,voice\n0,0.6,anna,1,talk.wav\n0.3,1,ben,2,other.wav\n"
    assert isinstance(checked(two, table), PlannedRow)


def test_audio_that_belongs_to_nobody_is_told(two: Files) -> None:
    gaps = checked(two, "start,end,speaker,face\n0,0.2,anna,1\n0.9,1,ben,2\n")
    assert isinstance(gaps, PlannedRow)
    said = "speakers: 0.5 s of audio, the first at 0.3 s, belong to nobody: no mouth moves there"
    assert said in gaps.notes
    rng = np.random.default_rng(0)
    quiet = 0.1 * rng.standard_normal(RATE_HZ).astype(np.float32)
    quiet[RATE_HZ // 4 : RATE_HZ * 9 // 10] = 0
    soundfile.write(two.folder / "quiet.wav", quiet, RATE_HZ)
    pause = checked(two, "start,end,speaker,face\n0,0.2,anna,1\n0.9,1,ben,2\n", audio="quiet.wav")
    assert isinstance(pause, PlannedRow)
    assert not any("belong to nobody" in note for note in pause.notes)


def test_rows_after_the_audio_are_told(two: Files) -> None:
    late = checked(two, TURNS + "5,6,ben,2\n")
    assert isinstance(late, PlannedRow)
    assert "speakers: 1 rows begin after the 1.00 s of audio: nobody speaks" in late.notes


def test_a_face_is_chosen_once(two: Files) -> None:
    found = checked(two, TURNS, face="1")
    assert isinstance(found, BadRow)
    (error,) = found.errors
    assert (error.field, "both `speakers` and `face`" in error.message) == ("face", True)


def test_speakers_are_for_films(two: Files) -> None:
    found = checked(two, TURNS, video="", portrait="one.mp4")
    assert isinstance(found, BadRow)
    (error,) = found.errors
    assert (error.field, "and the row has none" in error.message) == ("speakers", True)
