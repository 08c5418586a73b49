"""What can go wrong with recording itself, as errors that the caller can mend."""

from __future__ import annotations

from streamsan.traces.errors import StreamsanError


class RecordError(StreamsanError):
    """Raised where a recording cannot start, or could not see all that it promised to."""
