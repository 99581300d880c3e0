"""Pictures from URLs: few connections, bounded retries with back-off, an honest User-Agent."""

from collections.abc import Iterator, Sequence

import urllib3
from urllib3 import exceptions

from brushwork import __version__
from brushwork.errors import UserError, one_line
from brushwork.paintings.wikiart.candidates import Candidate, Read, Unavailable

CONNECTIONS = 4  # in parallel, over all of a site's servers
CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 20.0  # seconds between two pieces of data
BACKOFF = 1.0  # seconds before the second retry; doubled for each further one
MAX_WAIT = 60  # seconds, even if Retry-After says more
RETRIED = (429, 500, 502, 503, 504)
REFUSED = (401, 403, *RETRIED)
USER_AGENT = f"Brushwork/{__version__} (non-commercial research on painting styles)"


def reader() -> Read:
    """A function that reads candidates whose place is a URL."""
    counts = {"total": 8, "connect": 1, "read": 2, "redirect": 5, "status": 4}  # read: no data, or an incomplete body
    waits = {"backoff_factor": BACKOFF, "backoff_max": MAX_WAIT, "retry_after_max": MAX_WAIT}
    retries = urllib3.Retry(**counts, **waits, status_forcelist=RETRIED, raise_on_status=False)
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT)
    pool = urllib3.PoolManager(16, {"User-Agent": USER_AGENT}, retries=retries, timeout=timeout, maxsize=CONNECTIONS)

    def read(batch: Sequence[Candidate]) -> Iterator[tuple[Candidate, bytes | UserError]]:
        for candidate in batch:
            yield candidate, _get(pool, candidate.place)

    return read


def _get(pool: urllib3.PoolManager, url: str) -> bytes | UserError:
    try:
        response = pool.request("GET", url)
    except (exceptions.HTTPError, exceptions.LocationValueError) as error:
        return _failure(error.reason if isinstance(error, exceptions.MaxRetryError) else error)
    if response.status == 200:
        return response.data
    kind = Unavailable if response.status in REFUSED else UserError
    return kind(f"HTTP {response.status} ({response.reason})")


def _failure(error: Exception) -> UserError:
    detail = one_line(error).rpartition("): ")[2]  # without the pool's name
    match error:
        case exceptions.ResponseError():
            return UserError(f"too many redirects ({detail})")
        case exceptions.ProtocolError():
            return Unavailable(f"connection lost ({detail})")
        case exceptions.NewConnectionError():
            return Unavailable(f"no connection ({detail})")
        case exceptions.TimeoutError():
            return Unavailable(f"timed out ({detail})")
    return Unavailable(f"download failed ({detail})")
