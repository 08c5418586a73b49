"""The main pairs: section 5.2 of the specification."""

from __future__ import annotations

from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.requests import Ask
from streamsan.sim.scheduler.scenarios.asks import (
    CROWD,
    LONG,
    MIDDLE,
    SHORT,
    TINY,
    TWO,
    alternate,
    with_all,
)
from streamsan.sim.scheduler.scenarios.scenario import Expect, Scenario

_E3 = ServerArgs()
_SPEC = ServerArgs(speculative="v2", capture_hidden=True)
_SWA = ServerArgs(evict_at="prepare", window=3)
_PP = ServerArgs(overlap=False, pp_size=2)
_PD = ServerArgs(disaggregated=True)
_PD_ASKS = (Ask(LONG, 8), Ask(MIDDLE, 4, arrives=1))
_MIXED = ServerArgs(mixed_chunk=True, slots=200)
_LOGPROBS = with_all(TWO, logprobs=True)

SCENARIOS = (
    Scenario(
        "swa_war",
        "Scheduling frees what left the window while the running forward still translates by it.",
        "B4, #26380, #26376",
        _SWA, TWO, _SWA.but(fence="none"),
        (Expect("SO102", "read_map@F", "clear_map@S", "full_to_swa_index_mapping"),),
    ),
    Scenario(
        "row_recycle_war",
        "A new request gets the row that the extra forward of a finished one still reads.",
        "B4, #18744, #18803",
        _E3.but(rows=3), CROWD, _E3.but(rows=3, fence="none"),
        (Expect("SO102", "meta_gather@F", "row_write@S", "req_to_token"),),
        wrong="values",
    ),
    Scenario(
        "seqlens_chainblock",
        "A blocking pull on the schedule stream waits for the whole forward behind the fence.",
        "B5, #26380, #26463",
        _SPEC, TWO, _SPEC.but(seq_lens_pull="S"),
        (Expect("SO403", "", "new_seq_lens_cpu@S"),), wrong="time",
    ),
    Scenario(
        "seqlens_private_nogate",
        "The private stream copies the lengths without waiting until they are published.",
        "B7",
        _SPEC, TWO, _SPEC.but(Bug.PRIVATE_NO_GATE),
        (Expect("SO101", "publish@F", "pull_seq_lens@P", "new_seq_lens_buf"),), wrong="values",
    ),
    Scenario(
        "seqlens_private_nosync",
        "The host reads the pinned lengths without waiting for their copy.",
        "B7",
        _SPEC, TWO, _SPEC.but(Bug.PRIVATE_NO_SYNC),
        (
            Expect("SO111", "pull_seq_lens@P", "", "new_seq_lens_cpu_pinned"),
            Expect("SO102", "pull_seq_lens@P", "publish@F", "new_seq_lens_buf"),
        ), wrong="values",
    ),
    Scenario(
        "hidden_d2h_redundant",
        "Hidden states that no request asked for are downloaded in every step.",
        "B15, #25155",
        ServerArgs(capture_hidden=True),
        (Ask(LONG, 4, grammar=alternate), Ask(SHORT, 4, arrives=5)),
        ServerArgs(capture_hidden=True, bugs=frozenset({Bug.HIDDEN_D2H})),
        (Expect("SO501", "", "hidden_states_cpu@F"), Expect("SO501", "", "hidden_states_cpu@F")),
        wrong="time",
    ),
    Scenario(
        "logits_index_blocking",
        "Three index lists are uploaded by torch.tensor(list, device=...) behind the layers.",
        "B16, #24627",
        _E3, _LOGPROBS, _E3.but(Bug.LOGITS_BLOCKING),
        (
            Expect("SO401", "", "pruned_lens@F"),
            Expect("SO401", "", "sample_indices@F"),
            Expect("SO401", "", "input_logprob_indices@F"),
        ), wrong="time",
    ),
    Scenario(
        "penalty_none",
        "Penalties are taken from the batch's input ids, which are None while it is scheduled.",
        "B1, #25945",
        _E3.but(overlap=False), with_all(TWO, frequency_penalty=30.0),
        _E3.but(Bug.PENALTY_NONE, overlap=False),
        (Expect("SO701", "input_ids", "input_ids"),), wrong="always",
    ),
    Scenario(
        "penalty_blocking",
        "The latest tokens are uploaded by a blocking copy on the schedule stream.",
        "B5, path l",
        _E3, with_all(TWO, frequency_penalty=30.0), _E3.but(Bug.PENALTY_BLOCKING),
        (Expect("SO401", "", "penalty_tokens@S"),), wrong="time",
    ),
    Scenario(
        "restage_isolation",
        "Restored fields bring the staged prompt back, and the next step takes it again.",
        "B3, #25945",
        _SPEC, (Ask(LONG, 5),), _SPEC.but(Bug.RESTAGE),
        (Expect("SO703", "prefill_input_ids_cpu", "prefill_input_ids_cpu"),), wrong="always",
    ),
    Scenario(
        "staging_missing",
        "A path defers the input ids and stages nothing that they could be made from.",
        "B24",
        _E3, TWO, _E3.but(Bug.STAGING_MISSING),
        (Expect("SO701", "input_ids", "input_ids"),), wrong="always",
    ),
    Scenario(
        "pp_profiler_none",
        "The profiler of pipeline parallelism never resolves the input ids that it stages.",
        "B17, #26883",
        _PP.but(dynamic_chunking=True), TWO,
        _PP.but(Bug.PP_PROFILER_NONE, dynamic_chunking=True),
        (Expect("SO701", "input_ids", "input_ids"),), wrong="always",
    ),
    Scenario(
        "mixrun_lifetime",
        "The last owner of the mixed-in rows lets go of them while the gather is queued.",
        "B10, #34076",
        _MIXED,
        (
            Ask(MIDDLE, 8),
            Ask(LONG, embedding=True, arrives=3),
            Ask(TINY, embedding=True, arrives=4),
            Ask(SHORT[::-1], 3, arrives=5),
        ),
        _MIXED.but(Bug.MIX_RUNNING_LIFETIME),
        (Expect("SO201", "gather_input_ids@F", "", "req_pool_indices"),),
    ),
    Scenario(
        "relay_waw_prebuilt",
        "A row is seeded for its new owner before the last stash of the old one has run.",
        "B11, #34077, #35748",
        _PD.but(rows=2, fence="fine-top"), (Ask(LONG, 4), Ask(MIDDLE, 4)),
        _PD.but(Bug.PREBUILT_NO_FENCE, rows=2, fence="fine-top"),
        (Expect("SO103", "stash@F", "stash@S", "output_tokens_buf"),),
    ),
    Scenario(
        "event_moved",
        "A second record moves publish_ready, and whoever waits later misses the first publish.",
        "B12, #30435",
        _PD.but(speculative="v2", capture_hidden=True, fence="none"), _PD_ASKS,
        _PD.but(Bug.EVENT_MOVED, speculative="v2", capture_hidden=True, fence="none"),
        (
            Expect("SO101", "publish@F", "pull_seq_lens@P", "new_seq_lens_buf"),
            Expect("SO101", "publish@F", "gather_seq_lens@S", "new_seq_lens_buf"),
            Expect("SO304", "publish_ready@F", "stream_wait_event@S"),
        ),
    ),
    Scenario(
        "barrier_toolate_process",
        "Processing a result frees what left the window; the fence at the loop's top is behind it.",
        "B14, #31687",
        _E3.but(evict_at="process", fence="coarse-post", window=3), TWO,
        _E3.but(evict_at="process", window=3),
        (Expect("SO102", "read_map@F", "clear_map@S", "full_to_swa_index_mapping"),),
    ),
    Scenario(
        "readdone_stale",
        "An eager pass records no read-done event, and the fence waits for that of a pass before.",
        "B13b",
        _SWA.but(fence="fine-top"),
        (Ask(LONG, 8), Ask(MIDDLE, 5, arrives=2), Ask(LONG[::-1], 5, arrives=4),
         Ask(MIDDLE[::-1], 4, arrives=6)),
        _SWA.but(Bug.READ_DONE_STALE, fence="fine-top"),
        (
            Expect("SO102", "read_map@F", "clear_map@S", "full_to_swa_index_mapping"),
            Expect("SO302", "", ""),
        ),
    ),
)  # fmt: skip
