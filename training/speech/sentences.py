"""Sentences to be spoken: templates filled with words, so that every phone has many neighbours."""

import random
from typing import Final

HELD_OUT_EVERY: Final = 10
"""One sentence in ten is never trained on."""

_TEXT: Final = (
    "people water mother father baby paper button maybe remember problem family movement open "
    "window follow beautiful morning because about above between before number summer winter "
    "spring autumn coffee apple banana tomato potato pepper bread butter cheese chocolate "
    "music movie picture camera phone computer program table chair kitchen bathroom bedroom "
    "garden flower river mountain ocean island beach sunshine thunder lightning rainbow "
    "yellow purple orange green blue red white black silver gold happy hungry thirsty tired "
    "angry funny lovely strange simple famous popular important possible impossible different "
    "difficult easy quickly slowly carefully suddenly finally usually always never sometimes "
    "often today tomorrow yesterday week month year hour minute second first third fourth "
    "fifth school teacher student lesson question answer language english chinese french "
    "german voice sound whisper shout laugh smile cry think believe imagine wonder know "
    "understand explain describe show tell speak talk listen hear watch look see touch feel "
    "smell taste love hate want need hope wish dream sleep wake walk run jump swim fly drive "
    "ride travel visit arrive leave stay wait start stop begin finish build break make fix "
    "push pull move carry bring take give send receive buy sell pay cost money price cheap "
    "expensive shop market street road bridge city town village country world earth moon star "
    "sun sky cloud wind snow ice fire smoke wood stone glass metal plastic cotton wool silk "
    "shirt jacket trousers shoes hat gloves umbrella bag box bottle cup bowl plate knife fork "
    "spoon five seven nine eleven twelve over under through beyond within without against "
    "among foot good book would could should choose shoe few view huge use you your boy toy "
    "join point noise house mouse out now how brown down "
)
_WORDS: Final = tuple(_TEXT.split())

_TEMPLATES: Final = (
    "I would like to {} the {} and the {} before {}.",
    "We {} a {} {} near the {}.",
    "Have you ever seen a {} {} with a {}?",
    "My {} told me about {}, {} and {}.",
    "Please {} the {} very {}, or we will {}.",
    "Well, {} is {} than {}, and that is {}.",
    "Oh! What a {} {} you have, my {} friend.",
    "The {} of the {} was {}, but everybody {} it.",
    "Five {} boys and a {} woman went to the {}.",
    "Good {}, and welcome to the {} {} show about {}.",
    "When the {} began to {}, the whole {} moved to the {}.",
    "{}, {}, {}, and {}.",
)


def sentence(index: int) -> str:
    """Sentence number `index`, always the same."""
    rng = random.Random(index)
    template = rng.choice(_TEMPLATES)
    return template.format(*rng.choices(_WORDS, k=template.count("{}"))).capitalize()


def is_held_out(index: int) -> bool:
    """Tell whether training never hears a sentence."""
    return index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
