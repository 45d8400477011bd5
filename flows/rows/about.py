"""What every column of a manifest is for, in a sentence: for help, and for manifests we write."""

from typing import Final

ABOUT: Final = {
    "id": "a name of your own for the row, used once",
    "portrait": "the face: an image, or a video whose first frame is animated",
    "video": "a film to dub, instead of `portrait`: its face speaks, all else stays as it is",
    "audio": "the speech: an audio file, or a video whose audio is used",
    "voice": "the voice alone, if `audio` has music too: it moves the mouth, and is not heard",
    "background": "music and noises that are mixed under `audio`",
    "background_gain": "gain of `background` in dB, such as -6",
    "speakers": "who speaks when in a film, and with which face: a table, or SRT with names",
    "output": "the video to write, once; its ending selects the format (.mp4, .webm, .mkv, .gif)",
    "seed": "another number gives another movement",
    "resolution": "pixels of the animated square, a multiple of 64",
    "framing": "what is shown: `face` crops, `full` is all of it, `paste` animates a part of it",
    "face_box": "where the face is, `x y width height` in pixels, if it is not found",
    "face": "which face speaks, counted from the left; if unset, the largest",
    "head_motion": "how much the head moves, from 0 to 3; 1 is usual",
    "expression": "how lively the face is, from 0 to 3; 1 is usual",
    "audio_guidance": "how closely the mouth follows the audio, from 0 to 50",
    "start": "begin at this second or time (1:02:03.5) of the audio",
    "end": "end at this second or time of the audio",
    "fps": "frames per second, such as 25, 29.97 or 24000/1001",
    "scale_to": "short side of the video in pixels, even",
    "subtitles": "SRT, WebVTT or ASS file: a track, and a file beside the video",
    "language": "language of audio and subtitles, such as de or pt-BR",
    "length": "if film and audio differ: refuse, cut, hold, loop, bounce or pad",
    "consent": "who has agreed to the video, and where that is written",
}
