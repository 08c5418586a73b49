"""The extra pairs: section 5.3 of the specification."""

from __future__ import annotations

from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.requests import Ask
from streamsan.sim.scheduler.scenarios.asks import CROWD, LONG, MIDDLE, TWO, with_all
from streamsan.sim.scheduler.scenarios.scenario import Expect, Scenario

_E3 = ServerArgs()
_E1 = ServerArgs(fence="none", prefill_upload="S", sentinels=True)
_E4 = ServerArgs(result_copy="C")
_SPEC = ServerArgs(speculative="v2", capture_hidden=True)
_PP = ServerArgs(overlap=False, pp_size=2, mixed_chunk=True)
_PP_ASKS = (Ask(LONG, 2), Ask(MIDDLE, 1, arrives=2))
_ENCODER = ServerArgs(encoder_decoder=True)
_SWA = ServerArgs(evict_at="prepare", window=3)

SCENARIOS = (
    Scenario(
        "copydone_missing",
        "The host reads the tokens without waiting for their copy.",
        "B9a",
        _E3, TWO, _E3.but(Bug.COPY_DONE_MISSING),
        (Expect("SO111", "next_token_ids_cpu@F", "", "next_token_ids_cpu"),),
    ),
    Scenario(
        "copydone_early",
        "copy_done is recorded before the last copy.",
        "B9b",
        _E3, with_all(TWO, logprobs=True), _E3.but(Bug.COPY_DONE_EARLY),
        (Expect("SO111", "next_token_ids_cpu@F", "", "next_token_ids_cpu"),),
    ),
    Scenario(
        "copystream_nowait",
        "The copy stream does not wait for the forward stream.",
        "B9c",
        _E4, TWO, _E4.but(Bug.COPY_STREAM_NO_WAIT),
        (Expect("SO101", "sample@F", "next_token_ids_cpu@C", "next_token_ids"),),
    ),
    Scenario(
        "copystream_no_record_stream",
        "The forward stream reuses a result's memory while the copy stream still reads it.",
        "B9d",
        _E4, TWO, _E4.but(Bug.COPY_STREAM_NO_RECORD),
        (Expect("SO201", "next_token_ids_cpu@C", ""),),
    ),
    Scenario(
        "raw_seam_missing",
        "The forward stream does not wait for what scheduling prepared.",
        "B8",
        _E3, TWO, _E3.but(Bug.NO_SEAM),
        (
            Expect("SO101", "row_write@S", "meta_gather@F", "req_to_token"),
            Expect("SO101", "", "meta_gather@F", "seq_lens"),
        ), allow=("SO101",),
    ),
    Scenario(
        "inplace_seqlens",
        "Lengths are counted up in place while the running forward has yet to publish them.",
        "B19",
        _E3.but(fence="fine-top"), TWO, _E3.but(Bug.IN_PLACE_SEQ_LENS, fence="fine-top"),
        (Expect("SO102", "publish@F", "seq_lens_add@S", "seq_lens"),), wrong="values",
    ),
    Scenario(
        "pp_stash_missing",
        "The first stage of a pipeline does not keep the tokens that it receives.",
        "B18",
        _PP, _PP_ASKS, _PP.but(Bug.PP_STASH_MISSING),
        (Expect("SO702", "", ""),), wrong="always",
    ),
    Scenario(
        "pp_no_d2h_sync",
        "The host does not wait for the copy stream, which alone orders stash and gather.",
        "B18",
        _PP, _PP_ASKS, _PP.but(Bug.PP_NO_D2H_SYNC),
        (
            Expect("SO101", "stash@C", "gather_input_ids@F", "output_tokens_buf"),
            Expect("SO111", "next_token_ids_cpu@C", "", "next_token_ids_cpu"),
        ),
    ),
    Scenario(
        "encdec_no_rebuild",
        "The staged prompt keeps the encoder's tokens, which were taken out of it.",
        "path i",
        _ENCODER, with_all(TWO, encoder=(4, 9, 11)), _ENCODER.but(Bug.ENCODER_NO_REBUILD),
        (), wrong="always",
    ),
    Scenario(
        "lazy_pinned",
        "Lengths are read late, out of the one pinned buffer that the next copy writes.",
        "B6",
        _SPEC, TWO, _SPEC.but(Bug.LAZY_PINNED),
        (Expect("SO116", "pull_seq_lens@S", "", "new_seq_lens_cpu_pinned"),), wrong="values",
    ),
    Scenario(
        "ring_depth1",
        "One slot keeps a batch alive for one launch; its forward takes longer.",
        "B10b",
        _E1, TWO, _E1.but(Bug.RING_OF_ONE),
        (Expect("SO201", "embed@F", "", "input_ids"),), allow=("SO201", "SO202"),
    ),
    Scenario(
        "boolmask_penalizer",
        "A boolean mask as an index: the host waits until it knows how many there are.",
        "B20, #28363",
        _E3, with_all(TWO, min_new_tokens=3), _E3.but(Bug.BOOL_MASK),
        (Expect("SO402", "", "penalties@F"),), wrong="time",
    ),
    Scenario(
        "readdone_early",
        "read_done is recorded before the last read of a shared pool.",
        "B13a",
        _SWA.but(fence="fine-top", pool_reread=True), TWO,
        _SWA.but(Bug.READ_DONE_EARLY, fence="fine-top", pool_reread=True),
        (Expect("SO102", "read_map@F", "clear_map@S", "full_to_swa_index_mapping"),),
    ),
    Scenario(
        "readdone_wrong_runner",
        "read_done is the target's; the draft reads the rows after it.",
        "B13c",
        _SPEC.but(fence="fine-top", rows=3), CROWD,
        _SPEC.but(Bug.READ_DONE_WRONG_RUNNER, fence="fine-top", rows=3),
        (Expect("SO102", "draft_meta@F", "row_write@S", "req_to_token"),), wrong="values",
    ),
    Scenario(
        "swa_unique",
        "What left the window is found by unique(), for which the host waits.",
        "B21, #36372",
        _SWA, TWO, _SWA.but(Bug.SWA_UNIQUE),
        (Expect("SO402", "", "unique_slots@S"),), wrong="time",
    ),
    Scenario(
        "scalar_fill",
        "x[idx] = 0 uploads its zero.",
        "B21, #35773",
        _SWA, TWO, _SWA.but(Bug.SCALAR_FILL),
        (Expect("SO401", "", "clear_map@S"),), wrong="time",
    ),
    Scenario(
        "verify_done_sync",
        "The host waits for the verification, although the fence orders what follows.",
        "B22, #29556",
        _SPEC, TWO, _SPEC.but(Bug.VERIFY_DONE),
        (Expect("SO404", "", "verify_done"),), wrong="time",
    ),
)  # fmt: skip
