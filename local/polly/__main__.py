"""`python -m local.polly`."""

from local.polly.server import main

main()
