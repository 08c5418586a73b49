"""The negative controls: section 5.4 of the specification. They look wrong, and are not."""

from __future__ import annotations

from streamsan.sim.scheduler.config import ServerArgs
from streamsan.sim.scheduler.requests import Ask
from streamsan.sim.scheduler.scenarios.asks import LONG, SHORT, STAGGERED, TWO, with_all
from streamsan.sim.scheduler.scenarios.scenario import Scenario

_E3 = ServerArgs()
_SPEC = ServerArgs(speculative="v2", capture_hidden=True)

SCENARIOS = (
    Scenario("n1", "seq_lens is bound to a new tensor, out of place.", "B19",
             _E3.but(fence="fine-top"), TWO),
    Scenario("n2", "Stash and gather on one stream need no event.", "2.5",
             _E3.but(fence="none"), TWO),
    Scenario("n3", "Stashed on S, gathered on F behind its wait, with the coarse fence.", "path m",
             ServerArgs(hisparse=True), TWO),
    Scenario("n4", "A pinned temporary dropped right after its upload.", "1.3", _E3, STAGGERED),
    Scenario("n5", "The whole table is copied, rows of others included.", "2.3", _SPEC, TWO),
    Scenario("n6", "From C to F there is only the host's wait.", "path j",
             ServerArgs(overlap=False, pp_size=2, mixed_chunk=True), STAGGERED),
    Scenario("n7", "Decoding appends columns that the forward pass does not read.", "2.1",
             _E3.but(fence="none"), (Ask(LONG, 6),)),
    Scenario("n8", "record_stream on indices that are kept alive anyway.", "B10",
             _E3.but(mixed_chunk=True), STAGGERED),
    Scenario("n9", "A pinned upload and its use on the same stream.", "B16, #19640",
             _E3, with_all(TWO, logprobs=True)),
    Scenario("n10", "Without overlap everything is on one stream.", "path a",
             _E3.but(overlap=False), TWO),
    Scenario("n11", "Lengths are published that nobody reads.", "path b",
             _E3.but(fence="coarse-post"), (Ask(SHORT, 4),)),
)  # fmt: skip
