"""The language of the demo world: classes of captions, label phrases, and explanations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from exvad.data.world.activities import NORMAL
from exvad.results import Explanation

VERBS: dict[str, tuple[str, ...]] = {
    "Arson": ("sets fire",),
    "Explosion": ("explodes", "a blast throws"),
    "Fighting": ("punches", "kicks", "beats"),
    "RoadAccidents": ("crashes into", "car hits"),
    "Robbery": ("points a gun", "tears a bag"),
    "Vandalism": ("sprays paint", "smashes a window"),
}

REASONS: dict[str, str] = {
    NORMAL: "nothing abnormal happens because people only go about their day.",
    "Arson": "this is arson because a fire is lit on purpose.",
    "Explosion": "this is an explosion because fire and smoke burst into the air.",
    "Fighting": "this is fighting because people hit and kick each other.",
    "RoadAccidents": "this is a road accident because a car collides with something.",
    "Robbery": "this is robbery because someone takes things by force.",
    "Vandalism": "this is vandalism because someone damages property.",
}

PHRASES: dict[str, tuple[str, ...]] = {
    NORMAL: (
        "people walk past each other",
        "a person walks",
        "people talk quietly",
        "two people shake hands",
        "friends hug each other",
        "a customer pays in a shop",
        "someone shows a phone to a friend",
        "a worker cleans the wall",
        "someone puts up a poster",
        "a person grills food",
        "a car drives past",
        "cars pass each other",
        "parked cars",
        "a car with its headlights on",
        "an ordinary day",
        "nothing abnormal happens",
    ),
    "Arson": (
        "a person sets fire to a car",
        "a person sets fire to a bin",
        "someone lights a fire on purpose",
        "a car burns",
        "flames rise from a bin",
        "an arsonist at work",
        "a fire set on purpose",
        "fire spreads and smoke rises",
        "someone burns property",
        "flames and dark smoke",
        "a burning car",
        "a burning bin",
        "a person beside a fire",
        "a person grills over flames",
        "something is on fire",
        "a criminal fire",
    ),
    "Explosion": (
        "a car explodes",
        "a blast throws fire and smoke into the air",
        "a sudden explosion",
        "a ball of fire",
        "a bomb goes off",
        "fire and smoke burst into the air",
        "pieces fly through the air",
        "a bright flash and smoke",
        "a car bomb",
        "a violent blast",
        "something blows up",
        "a huge burst of flames",
        "smoke after a blast",
        "bright lights shine",
        "a loud bang",
        "an explosion destroys a car",
    ),
    "Fighting": (
        "a person punches a person",
        "a person kicks a person",
        "a person beats a person on the ground",
        "two people fight",
        "people hit each other",
        "a violent fight",
        "people throw punches",
        "someone is kicked",
        "someone is beaten on the ground",
        "a brawl between two people",
        "people attack each other",
        "a fist fight",
        "two people stand close together",
        "people grab each other",
        "an angry struggle",
        "a person is knocked down",
    ),
    "RoadAccidents": (
        "a car crashes into a car",
        "a car hits a person",
        "two cars collide",
        "a road accident",
        "a traffic accident",
        "a car crash with smoke",
        "a person is run over by a car",
        "a collision between cars",
        "a damaged car",
        "a person lies in front of a car",
        "cars pass very closely",
        "a crash on the road",
        "a wrecked car",
        "broken glass on the road",
        "an accident with a car",
        "a driver loses control",
    ),
    "Robbery": (
        "a person points a gun at a person",
        "a person tears a bag from a person",
        "someone is robbed",
        "a person raises both hands before a gun",
        "a robber with a gun",
        "someone takes a bag by force",
        "an armed robbery",
        "a person is held up",
        "a thief tears away a bag",
        "someone threatens a person with a gun",
        "a bag is stolen by force",
        "hands up",
        "a person shows something to a person",
        "a hold up",
        "a mugging",
        "a person is forced to give up a bag",
    ),
    "Vandalism": (
        "a person sprays paint on the wall",
        "a person smashes a window",
        "someone damages property",
        "graffiti on the wall",
        "a window is broken",
        "someone paints on a wall without permission",
        "a vandal at work",
        "a person breaks the glass",
        "paint is sprayed on a wall",
        "someone destroys things on purpose",
        "a smashed window",
        "a person at a wall",
        "broken glass in a window",
        "someone draws on the wall",
        "property is damaged",
        "a person ruins a wall",
    ),
}

MAX_EVIDENCE = 4
MIN_CAPTIONS = 3


def caption_class(caption: str) -> str:
    """Return the class that a caption of the demo world describes."""
    for label, verbs in VERBS.items():
        if any(verb in caption for verb in verbs):
            return label
    return NORMAL


def explain(captions: Sequence[str]) -> Explanation:
    """Return the reference explanation of a video's captions.

    The category is the abnormal class of most captions, if at least three captions describe it:
    fewer of them are treated as errors of the captioner.

    Args:
        captions: the captions of a video in order of time.

    Returns:
        The record that the language model of the demo is trained to write.
    """
    labels = [caption_class(caption) for caption in captions]
    abnormal = Counter(label for label in labels if label != NORMAL)
    category, count = abnormal.most_common(1)[0] if abnormal else (NORMAL, 0)
    if count < MIN_CAPTIONS and NORMAL in labels:
        category = NORMAL
    numbers = [number for number, label in enumerate(labels, 1) if label == category]
    summary = Counter(captions[number - 1] for number in numbers).most_common(1)[0][0]
    return Explanation(
        anomalous=category != NORMAL,
        category=category,
        summary=f"{summary}.",
        reason=REASONS[category],
        evidence=numbers[:MAX_EVIDENCE],
    )
