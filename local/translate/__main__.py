"""`python -m local.translate`."""

from local.translate.server import main

main()
