"""`python -m stages.translate`: runs the stage until SIGTERM."""

import sys

from stages.translate.definition import DEFINITION
from streams.program import main

sys.exit(main(DEFINITION))
