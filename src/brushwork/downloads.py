"""Whether a server answers, in a bounded time."""

import multiprocessing
import urllib.error
import urllib.request
from multiprocessing.pool import ThreadPool

TIMEOUT = 10.0  # seconds to connect, and between two pieces of data


def wait_for_answer(url: str, timeout: float | None = None) -> None:
    """Raise OSError if the server does not answer in time (None: TIMEOUT); a socket's timeout does not cover
    the DNS lookup."""
    timeout = TIMEOUT if timeout is None else timeout
    request = urllib.request.Request(url, method="HEAD")
    try:
        with ThreadPool(1) as pool:  # its thread is a daemon: if it hangs, nothing waits for it
            response = pool.apply_async(urllib.request.urlopen, [request, None, timeout])
            response.get(timeout).close()
    except multiprocessing.TimeoutError:
        raise TimeoutError(f"no answer in {timeout:g} s") from None
    except urllib.error.HTTPError:
        pass  # it answers: what follows reports what is wrong
