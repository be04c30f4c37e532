"""What a command says when it cannot do what was asked."""


class CommandError(Exception):
    """One plain sentence for stderr, with the remedy if there is one; the command exits with 1."""
