"""Session ids that people can say: adjective-noun-number (row W22). Pure: randomness comes in."""

from collections.abc import Callable
from typing import Final

FIRST_NUMBER: Final = 100
LAST_NUMBER: Final = 999

_ADJECTIVES: Final = """
    agile amber ample azure balmy bold brave breezy bright brisk bronze calm candid careful cheerful clear clever
    coastal comfy copper coral cosmic cozy crimson crisp crystal curious daring dawn deep eager early earnest easy
    elegant emerald epic even fair famous fancy festive fine fluent fond fresh friendly gentle giant glad golden grand
    grateful green handy happy hardy helpful honest humble indigo ivory jolly jovial joyful keen kind lavender leafy
    light lively loyal lucid lucky lunar magic mellow merry mighty misty modest neat nimble noble northern open orange
    patient peaceful polite proud quick quiet rapid ready robust rosy royal ruby rustic sage sandy scarlet serene sharp
    shiny silent silver simple sincere smart smooth snowy solar solid southern spry stable starry steady stellar still
    sturdy summer sunny super swift tall teal tidy trusty upbeat velvet vivid warm western wise witty young zesty
"""

_NOUNS: Final = """
    acorn alpaca anchor apple arbor aspen aurora badger bamboo banjo basil bay beacon bear birch bison bluebell breeze
    bridge brook canoe canyon cardinal castle cedar cello cherry cliff cloud clover comet compass coral cove crane creek
    dahlia daisy dolphin dove dune eagle elm ember falcon fern finch fjord flute forest fountain fox garden gazelle
    glacier grove gull harbor hawk hazel heron hill horizon iris island ivy jaguar jasmine juniper kestrel kite koala
    lagoon lake lantern lark laurel lemon lily linden lion lotus lynx magnolia mango maple marina marlin meadow mesa
    meteor mint moon moose mountain nebula oak oasis ocean olive orchard orchid osprey otter owl palm panda panther
    peach pearl pebble pelican penguin pepper phoenix piano pine planet plaza plum pond poplar prairie puffin quail
    rabbit rainbow raven reef ridge river robin rocket salmon sequoia shore sparrow spring spruce star stream summit
    sunrise swallow swan thistle tiger trail tulip turtle valley violet walnut whale willow wren
"""

ADJECTIVES: Final = tuple(_ADJECTIVES.split())
NOUNS: Final = tuple(_NOUNS.split())


def make(below: Callable[[int], int]) -> str:
    """A session id, such as golden-eagle-427. below(n): a draw from 0 to n - 1, each as likely."""
    adjective = ADJECTIVES[below(len(ADJECTIVES))]
    noun = NOUNS[below(len(NOUNS))]
    return f"{adjective}-{noun}-{FIRST_NUMBER + below(LAST_NUMBER - FIRST_NUMBER + 1)}"
