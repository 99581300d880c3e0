"""How a script ends."""

import subprocess
import sys


def test_a_reader_that_has_enough_is_no_error() -> None:
    """As `| head -2`."""
    script = "from brushwork.terminal import exit_with; exit_with(lambda: print('line\\n' * 10**6) or 0)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
