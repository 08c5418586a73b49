"""The mini-scheduler: SGLang's overlap scheduler in small, with every known bug as a switch.

Real torch tensors, four streams, a tiny transformer; requests in, tokens out. The same code runs on
``simcuda`` and on ``cuda``. ``spec/overlap-scheduler.md`` says what it must reproduce; to read it,
begin where a step begins:

    scheduler             the loops, and what becomes of one batch: resolve, isolate, forward, relay
    policy                which batch runs next
    batch, over_allocate  a batch, prepared on the schedule stream
    future_map, fence     what goes from one iteration to the next, and what must wait for what
    runner, model, logits the forward pass
    worker, spec_worker   sampling, with and without speculation
    result, process       back to the host, one iteration later
    pools, requests       rows and slots; what is asked for
    sampling              penalties, masks, the choice

Paths of their own: encoder_decoder, hisparse, idle, pipeline, pp_profiler, prebuilt (with
prefill_node), split_prefill. What to tell it: config, streams. What is right: reference, the serial
oracle, which shares nothing with the rest but the weights. ``scenarios`` has the bugs.
"""
