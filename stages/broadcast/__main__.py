"""`python -m stages.broadcast`: runs the stage until SIGTERM."""

import sys

from stages.broadcast.definition import DEFINITION
from streams.program import main

sys.exit(main(DEFINITION))
