"""What a scheduler is told at its start: its era, its sizes, and the bugs it is to have.

The names are those of ``spec/overlap-scheduler.md``; its default era is E3.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

Fence = Literal["none", "coarse-top", "coarse-post", "fine-top", "fine-post"]
"""Where the schedule stream waits for the forward stream: not at all; at the top of the loop or
right after the launch; for all of it (coarse) or for its read-done event (fine)."""
Speculative = Literal["", "v1", "v2"]


class Bug(StrEnum):
    """A known bug as a switch: B-number of the specification, with its variant.

    B4 and B14 are eras of the fence, B5 of where ``seq_lens`` is pulled; see ``ServerArgs``.
    """

    PENALTY_NONE = "B1"
    RESTAGE = "B3"
    PENALTY_BLOCKING = "B5-penalty"
    LAZY_PINNED = "B6"
    PRIVATE_NO_GATE = "B7"
    PRIVATE_NO_SYNC = "B7-nosync"
    PULL_NO_WAIT = "B7-schedule"
    NO_SEAM = "B8"
    COPY_DONE_MISSING = "B9a"
    COPY_DONE_EARLY = "B9b"
    COPY_STREAM_NO_WAIT = "B9c"
    COPY_STREAM_NO_RECORD = "B9d"
    NO_PIN = "B10a"
    RING_OF_ONE = "B10b"
    MIX_RUNNING_LIFETIME = "B10c"
    PREBUILT_NO_FENCE = "B11"
    EVENT_MOVED = "B12"
    READ_DONE_EARLY = "B13a"
    READ_DONE_STALE = "B13b"
    READ_DONE_WRONG_RUNNER = "B13c"
    HIDDEN_D2H = "B15"
    LOGITS_BLOCKING = "B16"
    PP_PROFILER_NONE = "B17"
    PP_STASH_MISSING = "B18"
    PP_NO_D2H_SYNC = "B18-nosync"
    IN_PLACE_SEQ_LENS = "B19"
    BOOL_MASK = "B20"
    SWA_UNIQUE = "B21"
    SCALAR_FILL = "B21-fill"
    VERIFY_DONE = "B22"
    CLOSURE_LEAK = "B23"
    STAGING_MISSING = "B24"
    ENCODER_NO_REBUILD = "path-i"


@dataclass(frozen=True)
class ServerArgs:
    """Era switches, sizes and bugs of one scheduler.

    Args:
        overlap: run the overlap loop; else everything is on the schedule stream.
        fence: the write-after-read fence; without one this is B4, too early it is B14.
        result_copy: the stream of the result copies: F up to E3, C from E4 on.
        seq_lens_pull: the stream that pulls ``seq_lens`` to the host: S is B5.
        sentinels: decode batches carry negative rows of the relay as their input ids, as in E1.
        prefill_upload: the stream of the prompt upload: S before E3, F from then on.
        speculative: the speculative worker; v1 runs without overlap only.
        width: of the model.
        rows: rows of ``req_to_token``; row 0 is padding.
        context: positions a request can have.
        slots: slots of the KV pool; slot 0 is padding.
        window: positions that the sliding-window layer sees.
        chunk: prompt tokens that one prefill takes; 0 takes all.
        mixed_chunk: let the running batch join a prefill.
        max_running: requests of one batch.
        draft_tokens: tokens that one verification checks.
        capture_hidden: let the forward pass keep its last hidden states.
        evict_at: where SWA positions out of the window are freed: in ``prepare`` of the next
            step, in ``process`` of the last one, or never.
        radix_cache: rewrite a prefilled request's row when its result is processed.
        pool_reread: verification reads the pools once more after its replay, as topk > 1 does.
        disaggregated: a decode node: prompts are prefilled elsewhere, and their KV arrives (h).
        dp_attention: other ranks have work: without a batch of its own a rank runs an idle one.
        encoder_decoder: prompts may have an encoder's tokens before them (i).
        pp_size: stages of the pipeline: 2 makes this rank 0 of two, without overlap (j).
        dynamic_chunking: profile synthetic prefills before serving, as rank 0 of a pipeline (k).
        hisparse: park a prefilled request, and let it rejoin later (m).
        pdmux: prefill layer by layer between decode steps, without overlap (p).
        bugs: the bugs to have.
    """

    overlap: bool = True
    fence: Fence = "coarse-top"
    result_copy: Literal["F", "C"] = "F"
    seq_lens_pull: Literal["S", "P"] = "P"
    sentinels: bool = False
    prefill_upload: Literal["S", "F"] = "F"
    speculative: Speculative = ""
    width: int = 16
    rows: int = 6
    context: int = 32
    slots: int = 96
    window: int = 6
    chunk: int = 0
    mixed_chunk: bool = False
    max_running: int = 4
    draft_tokens: int = 2
    capture_hidden: bool = False
    evict_at: Literal["prepare", "process", ""] = ""
    radix_cache: bool = False
    pool_reread: bool = False
    disaggregated: bool = False
    dp_attention: bool = False
    encoder_decoder: bool = False
    pp_size: int = 1
    dynamic_chunking: bool = False
    hisparse: bool = False
    pdmux: bool = False
    bugs: frozenset[Bug] = field(default_factory=frozenset)

    @property
    def forward_apart(self) -> bool:
        """Whether the forward pass has a stream of its own: with overlap, and in a pipeline."""
        return self.overlap or self.pp_size > 1

    def has(self, bug: Bug) -> bool:
        """Whether the scheduler is to have a bug."""
        return bug in self.bugs

    def but(self, *bugs: Bug, **changes: Any) -> ServerArgs:
        """Give the same with bugs added and switches changed."""
        return replace(self, bugs=self.bugs | set(bugs), **changes)
