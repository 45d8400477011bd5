"""Write the three voices and their subtitles: python -m examples.dubbing.make_voices

espeak-ng comes with the tools of developers (`make setup`).
"""

from pathlib import Path

import numpy as np
import soundfile

from training.speech.espeak import synthesise

HERE = Path(__file__).parent
WORDS_PER_MINUTE = 150
SENTENCES = {
    "de": "Willkommen! Heute sprechen wir über das Meer und seine Farben.",
    "es": "¡Bienvenidos! Hoy hablamos del mar y de sus colores.",
    "fr": "Bienvenue ! Aujourd'hui, nous parlons de la mer et de ses couleurs.",
}


def speak(language: str, sentence: str) -> float:
    """Write what the voice of a language says; its seconds."""
    audio, rate_hz, _ = synthesise(
        sentence, voice=language, rate=WORDS_PER_MINUTE, pitch=50, pitch_range=50
    )
    samples = np.frombuffer(audio, np.int16)
    soundfile.write(HERE / f"{language}.flac", samples, rate_hz)
    return len(samples) / rate_hz


def cue(sentence: str, seconds: float) -> str:
    """Write the text of a SubRip file with one cue."""
    end = f"{seconds:06.3f}".replace(".", ",")
    return f"1\n00:00:00,000 --> 00:00:{end}\n{sentence}\n"


if __name__ == "__main__":
    for language, sentence in SENTENCES.items():
        text = cue(sentence, speak(language, sentence))
        (HERE / f"{language}.srt").write_text(text, encoding="utf-8")
