from ops.errors import CommandError


def test_an_error_is_its_sentence() -> None:
    assert str(CommandError("port 1 is in use")) == "port 1 is in use"
