import signal
import subprocess
import sys

from ops import guard

IGNORES = "import signal,sys;signal.signal(signal.SIGTERM, signal.SIG_IGN);print(1,flush=True);signal.pause()"


def test_what_is_noted_and_not_taken_back_is_left() -> None:
    assert guard.noted(["+10\n", "+11\n", "-10\n"]) == {11}


def test_a_group_that_ignores_sigterm_is_killed() -> None:
    process = subprocess.Popen([sys.executable, "-c", IGNORES], start_new_session=True, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        guard.end({process.pid}, grace_s=0.1)
        assert process.wait() == -signal.SIGKILL
        assert not guard.send(process.pid, 0)
    finally:
        process.kill()
        process.communicate()


def test_when_the_pipe_closes_the_noted_group_ends() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import signal;signal.pause()"], start_new_session=True)
    try:
        subprocess.run(
            [sys.executable, "-m", "ops.guard"], input=f"+{process.pid}\n", text=True, check=True, timeout=20
        )
        assert process.wait(10) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait()
