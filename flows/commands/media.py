"""The commands that put finished files together: `sonic mux` and `sonic join`."""

from pathlib import Path
from typing import Annotated

import typer

Replace = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]


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
        str | None, typer.Option(help="Language of the sound and of the subtitles.")
    ] = None,
    loudness: Annotated[
        float | None, typer.Option(help="Loudness of the whole in LUFS, such as -16.")
    ] = None,
    overwrite: Replace = False,
) -> None:
    """Join videos into one with a chapter for each; pictures are copied, not encoded again.

    \b
    sonic join slide_1.mp4 slide_2.mp4 -o lecture.mp4
    sonic join lecture.csv -o lecture.mp4 --language de --loudness -16
    """
    from flows.addresses import resolve
    from flows.commands.join import join as join_all
    from flows.console.terminal import open_terminal

    here, say = str(Path.cwd()), open_terminal().say
    folder = None if output_folder is None else resolve(output_folder, here)
    join_all(
        videos,
        output,
        here,
        folder,
        say,
        language=language,
        loudness_lufs=loudness,
        overwrite=overwrite,
    )
