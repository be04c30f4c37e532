"""`python -m ops` is the `herald` command."""

import sys

from ops.main import main

sys.exit(main())
