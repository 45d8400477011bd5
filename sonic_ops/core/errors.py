"""Everything this project raises on purpose. The type decides what happens next.

SonicError
  InputError             the row is wrong: never retried
    MissingFileError
    AudioUnreadableError
    AudioTooShortError
    ImageUnreadableError
    NoFaceError
    SubtitlesUnreadableError
    VideoUnreadableError
    LengthsDifferError
    FieldError
    OutputNotWritableError
  ManifestError          the manifest is wrong: nothing can start
  ConfigError            the run is wrong: nothing can start
  RenderError            the machine is wrong: retried
    WorkerLostError
      NoWorkersError     ends the run: its rows wait for the next one
    OutOfMemoryError
    VerifyError
  BrokenOutputError      NaN, or a video without frames or audio: never retried
  LockedError   another command renders the row: left to it
    DamagedFileError     the file is removed and made again
"""

from typing import ClassVar

from sonic_ops.core.shown import without_secrets

LONGEST = 4000
"""Characters of a message."""


class SonicError(Exception):
    """One sentence that says what is wrong, one that says what to do about it."""

    then: ClassVar[str] = "The command ends."
    """What the program does about it, for `flows/ERRORS.md`."""

    def __init__(self, message: str, *, remedy: str, field: str | None = None) -> None:
        # Here, since an error ends in tables, logs, databases and on terminals alike.
        message, remedy = without_secrets(message), without_secrets(remedy)
        if len(message) > LONGEST:  # it quotes a key, a cell or a URL of pages
            message = f"{message[:LONGEST]}..."
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.field = field

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders; the default would drop the keyword arguments.
        return (_rebuild, (type(self), self.message, self.remedy, self.field))


def _rebuild(kind: type[SonicError], message: str, remedy: str, field: str | None) -> SonicError:
    return kind(message, remedy=remedy, field=field)


class InputError(SonicError):
    """The row is wrong; another machine would not help."""

    then = "The row fails and is not tried again; the others render."


class MissingFileError(InputError):
    """A file named by the row does not exist."""


class AudioUnreadableError(InputError):
    """The audio file has no audio that can be decoded."""


class AudioTooShortError(InputError):
    """The audio is shorter than one frame."""


class ImageUnreadableError(InputError):
    """The portrait is not an image that can be used."""


class NoFaceError(InputError):
    """No face was found in the portrait."""


class SubtitlesUnreadableError(InputError):
    """The subtitles are not SRT or WebVTT."""


class VideoUnreadableError(InputError):
    """A video has no frames that can be used."""


class LengthsDifferError(InputError):
    """Audio and video that are to be joined differ in length."""


class FieldError(InputError):
    """A cell of the manifest has a wrong type or value."""


class OutputNotWritableError(InputError):
    """The output cannot be written where the row wants it."""


class ManifestError(SonicError):
    """The manifest cannot be read at all."""

    then = "Nothing starts."


class ConfigError(SonicError):
    """The run is wrong: a preset, a key or a weights folder."""

    then = "Nothing starts."


class RenderError(SonicError):
    """The machine is wrong; the same work may succeed when tried again."""

    then = "It is tried again; after `max_attempts` failures the row fails, and the others render."


class WorkerLostError(RenderError):
    """A worker died or stopped answering."""


class NoWorkersError(WorkerLostError):
    """There has been no worker for too long: no row can be rendered."""

    then = "The run ends; its rows wait for the next one."


class OutOfMemoryError(RenderError):
    """A worker ran out of memory."""


class VerifyError(RenderError):
    """A finished file is not what was planned."""


class BrokenOutputError(SonicError):
    """A network gave no numbers, or the finished video is black, frozen or silent."""

    then = "The row fails and is not tried again; nothing of it is published, the others render."


class LockedError(SonicError):
    """Another command renders the row."""

    then = "The row is left to that command."


class DamagedFileError(RenderError):
    """A file of the work folder is missing, or is not what was written."""

    then = "The file is removed and made again."

    def __init__(self, url: str) -> None:
        super().__init__(
            f"the file {url} is damaged or missing",
            remedy="Run the same command again; only the missing work is done.",
        )
        self.url = url

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.url,))
