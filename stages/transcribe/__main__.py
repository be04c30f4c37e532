"""`python -m stages.transcribe`: runs the stage until SIGTERM."""

import sys

from stages.transcribe.definition import DEFINITION
from streams.program import main

sys.exit(main(DEFINITION))
