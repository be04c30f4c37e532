"""`python -m stages.emotion`: runs the stage until SIGTERM."""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy reads it when it is imported, which the next line does
from stages.emotion.definition import DEFINITION
from streams.program import main

sys.exit(main(DEFINITION))
