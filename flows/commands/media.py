"""The commands that make films of files: `sonic dub`, `sonic mux` and `sonic join`."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import DEFAULT_PRESET, Overwrite, Preset, Work, folder

Replace = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]


def dub(
    video: Annotated[str, typer.Argument(help="Film whose speaker is to speak other languages.")],
    audio: Annotated[
        list[str], typer.Option(metavar="LANGUAGE=FILE", help="New speech in a language.")
    ],
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="Film to write; {language} in it: one for each."),
    ],
    length: Annotated[
        str | None,
        typer.Option(help="If lengths differ: refuse, cut, hold, loop, bounce or pad."),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Music and noises of the film, mixed under the speech."),
    ] = None,
    background_gain: Annotated[
        str | None, typer.Option(metavar="DB", help="Gain of the background, such as -6.")
    ] = None,
    speakers: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Who speaks when, with which face: a table, or SRT with names; {language} works.",
        ),
    ] = None,
    preset: Preset = DEFAULT_PRESET,
    work: Work = None,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Do not measure the films or write report.html.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Dub a film: new speech, and lips that move with it; all else stays as it is.

    \b
    sonic dub talk.mp4 --audio de=de.wav --audio fr=fr.wav -o talk.mkv
    sonic dub talk.mp4 --audio de=de.wav --audio fr=fr.wav -o talk.{language}.mp4
    sonic dub talk.mp4 --audio de=de.wav --background music.wav -o talk.de.mp4
    sonic dub two.mp4 --audio de=de.wav --speakers de.csv -o two.de.mp4
    """
    from flows.commands.dub import DubRequest, dub_film
    from flows.console.terminal import open_terminal

    request = DubRequest(
        video,
        audio,
        output,
        str(Path.cwd()),
        preset,
        length=length,
        background=background,
        background_gain=background_gain,
        speakers=speakers,
        work=folder(work),
        report=not no_report,
        overwrite=overwrite,
    )
    raise typer.Exit(dub_film(request, open_terminal()))


def mux(
    video: Annotated[str, typer.Argument(help="Video whose frames are copied unchanged.")],
    audio: Annotated[
        list[str],
        typer.Option(
            metavar="LANGUAGE=FILE", help="Audio track; the first one becomes the default."
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="Video to write.")],
    subtitles: Annotated[
        list[str],
        typer.Option(metavar="LANGUAGE=FILE", help="SRT or WebVTT.", default_factory=list),
    ],
    overwrite: Replace = False,
) -> None:
    """Combine a video with audio tracks and subtitles in several languages.

    \b
    sonic mux talk.mp4 --audio de=de.wav --audio fr=fr.wav -o talk.mkv
    sonic mux talk.mp4 --audio en=talk.mp4 --audio de=de.wav --subtitles de=de.srt -o both.mp4
    """
    from flows.commands.mux import mux as join
    from flows.console.terminal import open_terminal

    folder_here, say = str(Path.cwd()), open_terminal().say
    join(video, audio, subtitles, output, folder_here, say, overwrite=overwrite)


def join(
    videos: Annotated[
        list[str],
        typer.Argument(metavar="VIDEO... | MANIFEST", help="Videos, or a rendered manifest."),
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="Video to write.")],
    output_folder: Annotated[
        str | None, typer.Option("--folder", help="The --output folder of the manifest's render.")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Language of the audio and of the subtitles.")
    ] = None,
    loudness: Annotated[
        float | None, typer.Option(help="Loudness of the whole in LUFS, such as -16.")
    ] = None,
    overwrite: Replace = False,
) -> None:
    """Join videos into one with a chapter for each; frames are copied, not encoded again.

    \b
    sonic join slide_1.mp4 slide_2.mp4 -o lecture.mp4
    sonic join lecture.csv -o lecture.mp4 --language de --loudness -16
    """
    from flows.commands.join import join as join_all
    from flows.console.terminal import open_terminal
    from flows.urls import resolve

    here, say = str(Path.cwd()), open_terminal().say
    results_folder = None if output_folder is None else resolve(output_folder, here)
    join_all(
        videos,
        output,
        here,
        results_folder,
        say,
        language=language,
        loudness_lufs=loudness,
        overwrite=overwrite,
    )
