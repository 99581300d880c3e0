"""Pictures from URLs: few connections, bounded retries with back-off, a User-Agent that says who asks."""

from collections.abc import Iterator, Sequence

import urllib3
from urllib3.exceptions import (
    HTTPError,
    LocationValueError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ResponseError,
    TimeoutError,
)

from brushwork import __version__
from brushwork.errors import UserError, one_line
from brushwork.paintings.wikiart.offers import Offer, Read, Unavailable

CONNECTIONS = 4  # at a time, over all of a site's servers
CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 20.0  # seconds between two pieces of data
BACKOFF = 1.0  # seconds before the second retry; each further one waits twice as long
LONGEST_WAIT = 60  # seconds, whatever Retry-After asks for
BUSY = (429, 500, 502, 503, 504)  # what can pass
TURNED_AWAY = (401, 403, *BUSY)
USER_AGENT = f"Brushwork/{__version__} (non-commercial research on painting styles)"


def reader() -> Read:
    """A function that reads offers whose place is a URL."""
    retries = urllib3.Retry(
        total=8,
        connect=1,
        read=2,  # silence, and bodies that break off
        redirect=5,
        status=4,
        status_forcelist=BUSY,
        backoff_factor=BACKOFF,
        backoff_max=LONGEST_WAIT,
        retry_after_max=LONGEST_WAIT,
        raise_on_status=False,
    )
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT)
    pool = urllib3.PoolManager(16, {"User-Agent": USER_AGENT}, retries=retries, timeout=timeout, maxsize=CONNECTIONS)

    def read(batch: Sequence[Offer]) -> Iterator[tuple[Offer, bytes | UserError]]:
        for offer in batch:
            yield offer, _get(pool, offer.place)

    return read


def _get(pool: urllib3.PoolManager, url: str) -> bytes | UserError:
    try:
        response = pool.request("GET", url)
    except (HTTPError, LocationValueError) as error:
        return _failure(error.reason if isinstance(error, MaxRetryError) else error)
    if response.status == 200:
        return response.data
    kind = Unavailable if response.status in TURNED_AWAY else UserError
    return kind(f"HTTP {response.status} ({response.reason})")


def _failure(error: Exception) -> UserError:
    why = one_line(error).rpartition("): ")[2]  # without the pool's name
    if isinstance(error, ResponseError):
        return UserError(f"too many redirects ({why})")
    kinds = {
        ProtocolError: "the connection broke off",
        NewConnectionError: "cannot be reached",
        TimeoutError: "no answer in time",
    }
    words = next((words for kind, words in kinds.items() if isinstance(error, kind)), "cannot be fetched")
    return Unavailable(f"{words} ({why})")
