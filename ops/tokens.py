"""Tokens for the local stack, signed by its own issuer."""

import os
import subprocess

from ops.children import program
from ops.errors import CommandError
from ops.parts import child_environment
from ops.paths import PROJECT
from ops.stack_file import Stack


def token(stack: Stack, subject: str) -> str:
    """A signed token that lets its bearer speak. Raises CommandError when the issuer refuses."""
    done = subprocess.run(
        program("local.issuer", "--keys", f"{stack.environment['HERALD_DIR']}/keys", "--subject", subject),
        env=child_environment(os.environ, stack.environment),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CommandError(f"the local issuer ended with exit code {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout.strip()
