"""In what order it had to happen: Trace in, HappensBefore out."""

from streamsan.traces.order.happens_before import HappensBefore, Race, kind_of

__all__ = ["HappensBefore", "Race", "kind_of"]
