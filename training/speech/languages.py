"""Sentences in other languages, for measures alone: training hears English."""

from typing import Final

import numpy as np

from sonic_ops.core.constants import SAMPLE_RATE_HZ
from training.speech.speech import HELD_OUT_VARIANTS, Phone, Utterance, Voice, speak

SENTENCES: Final = {
    "English": ("en-us", (
        "My brother moved the old piano before the summer, but nobody wanted to help him.",
        "We open the market at five, and people buy bread, butter and apples until evening.",
    )),
    "German": ("de", (
        "Meine Mutter malt am Abend gern große Bilder, und wir bewundern ihre bunten Farben.",
        "Der Bäcker um die Ecke öffnet früh am Morgen und verkauft warme Brötchen mit Butter.",
    )),
    "Spanish": ("es", (
        "Mi abuela prepara una sopa muy buena cuando toda la familia vuelve a casa el domingo.",
        "Por la mañana abrimos las ventanas para que entre el aire limpio de la montaña.",
    )),
    "French": ("fr", (
        "Ma petite sœur aime beaucoup les pommes et les poires du marché près de la maison.",
        "Pendant les vacances, nous avons marché longtemps au bord de la mer avec nos amis.",
    )),
    "Italian": ("it", (
        "Mia madre compra sempre il pane fresco e poi prepara la colazione per tutta la famiglia.",
        "Domani mattina partiamo presto per vedere il mare e mangiare qualcosa di buono.",
    )),
    "Mandarin": ("cmn", (
        "我妈妈每天早上买面包和苹果 然后跟朋友一起去公园慢慢地跑步。",
        "明天下午我们要去北京看爸爸的老朋友 他在那里教学生写毛笔字。",
    )),
}  # fmt: skip
"""Of each language, the voice of espeak-ng and what is said."""


def foreign_speech(language: str, index: int, seconds: float) -> Utterance:
    """Say a sentence with a held-out voice, again and again until the time is over."""
    name, sentences = SENTENCES[language]
    variant = HELD_OUT_VARIANTS[index // len(sentences) % len(HELD_OUT_VARIANTS)]
    said = speak(sentences[index % len(sentences)], Voice(name + variant, 50, 160, 50))
    length_s = len(said.samples) / SAMPLE_RATE_HZ
    starts = np.arange(int(np.ceil(seconds / length_s))) * length_s
    phones = [Phone(p.name, p.start_s + s, p.stop_s + s) for s in starts for p in said.phones]
    samples = np.tile(said.samples, len(starts))[: int(seconds * SAMPLE_RATE_HZ)]
    return Utterance(samples, tuple(p for p in phones if p.start_s < seconds))
