"""Rank 0 of a pipeline of two: the first layer here, the last one and sampling on a peer (path j).

Two microbatches take turns. Rank 0 launches one, takes the tokens of the other from the peer, and
lets the copy stream C turn them into next inputs. What C wrote is ordered before the next forward
pass by the host alone, which waits for ``d2h_event``. The peer is a stream N of this device; it
reads the tables of this rank's forward pass, where a real one builds the same from its own pools.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

import streamsan
from streamsan.sim.scheduler.batch import ScheduleBatch
from streamsan.sim.scheduler.config import Bug
from streamsan.sim.scheduler.logits import LogitsProcessor
from streamsan.sim.scheduler.process import process_batch_result
from streamsan.sim.scheduler.requests import Req
from streamsan.sim.scheduler.result import GenerationBatchResult
from streamsan.sim.scheduler.runner import ForwardBatch, Metadata, ModelRunner
from streamsan.sim.scheduler.sampling import SamplingBatchInfo, sample
from streamsan.sim.scheduler.streams import Streams
from streamsan.sim.scheduler.worker import Publish, TpModelWorker

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scheduler import Scheduler


@dataclass
class ProxyTensors:
    """What the first stage hands to the last one."""

    batch: ForwardBatch
    metadata: Metadata
    states: torch.Tensor
    sampling_info: SamplingBatchInfo


class FirstStageWorker(TpModelWorker):
    """Runs the first layer. It never samples."""

    def forward_batch_generation(
        self, batch: ScheduleBatch, on_publish: Publish
    ) -> GenerationBatchResult:
        """Run a batch on the current stream, as far as this stage goes."""
        del on_publish
        forward_batch = ForwardBatch.init_new(batch)
        result = GenerationBatchResult(LogitsProcessor.empty())
        result.pp_hidden_states_proxy_tensors = self.first_layer(forward_batch, batch.sampling_info)
        return result

    def first_layer(self, batch: ForwardBatch, info: SamplingBatchInfo) -> ProxyTensors:
        """Run the layer of this stage on the current stream."""
        metadata = self.runner.init_metadata(batch)
        states = self.runner.embed(batch, metadata)
        self.runner.run_layer(batch, metadata, states, 0)
        return ProxyTensors(batch, metadata, states, info)


class LastStage:
    """The peer: the last layer and sampling, on its own stream N."""

    def __init__(self, streams: Streams, runner: ModelRunner) -> None:
        self.device = streams.device
        self.runner = runner
        self.N = streams.more("N")

    def forward(
        self, proxy: ProxyTensors, wire: torch.Tensor, sent: Any
    ) -> tuple[torch.Tensor, Any]:
        """Give the tokens, and an event behind them."""
        with self.device.on(self.N):
            self.N.wait_event(sent)
            received = self.device.empty("pp_received", *wire.shape, dtype=wire.dtype)
            transfer("receive_proxy", received, wire)
            self.runner.run_layer(proxy.batch, proxy.metadata, received, 1)
            output = self.runner.logits_processor.process(
                proxy.batch, proxy.metadata, received, logprobs=False
            )
            assert output.next_token_logits is not None  # noqa: S101
            with streamsan.named("pp_outputs"):
                tokens = sample(output.next_token_logits, proxy.sampling_info).to(torch.int32)
            done = self.device.event("pp_outputs_ready")
            done.record()
        return tokens, done


@dataclass
class Flight:
    """A microbatch between its launch and its result, with all that streams still read of it."""

    batch: ScheduleBatch
    result: GenerationBatchResult
    launch_event: Any
    wire: torch.Tensor | None = None
    pp_outputs: torch.Tensor | None = None
    next_token_ids: torch.Tensor | None = None
    kept: list[Any] = field(default_factory=list)
    outputs_ready: Any = None


@dataclass
class Microbatch:
    """What one of the two microbatches has of the scheduler's state.

    ``landed`` keeps the memory of its last flight for one more, as ``batch_record_buf`` does.
    """

    running: ScheduleBatch
    last_batch: ScheduleBatch | None = None
    chunked: Req | None = None
    flight: Flight | None = None
    landed: Flight | None = None


class PipelineLoop:
    """The loop of rank 0."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.device, self.streams = scheduler.device, scheduler.streams
        self.peer = LastStage(self.streams, scheduler.worker.runner)
        self.mbs = [Microbatch(scheduler.new_batch([])) for _ in range(scheduler.args.pp_size)]

    def step(self) -> None:
        """One iteration: launch a microbatch, finish the other, send on what was launched."""
        scheduler = self.scheduler
        scheduler.receive()
        here = self.mbs[scheduler.iteration % len(self.mbs)]
        other = self.mbs[(scheduler.iteration + 1) % len(self.mbs)]
        batch = self._get_next_batch_to_run(here)
        here.landed = here.flight
        here.flight = None if batch is None else self._launch_batch(batch)
        other.last_batch = None
        if other.flight is not None:
            self._finish(other.flight)
            other.last_batch = other.flight.batch
        if here.flight is not None:
            self._send(here.flight)

    def _get_next_batch_to_run(self, here: Microbatch) -> ScheduleBatch | None:
        scheduler = self.scheduler
        scheduler.running, scheduler.last_batch = here.running, here.last_batch
        scheduler.chunked = here.chunked
        batch = scheduler.policy.get_next_batch_to_run()
        here.running, here.chunked = scheduler.running, scheduler.chunked
        return batch

    def _launch_batch(self, batch: ScheduleBatch) -> Flight:
        kept = list(vars(batch).values())
        result = self.scheduler.run_batch(batch)
        with self.device.on(self.streams.F):
            launch_event = self.device.event("launch_event")
            launch_event.record()
        return Flight(batch, result, launch_event, kept=kept)

    def _send(self, flight: Flight) -> None:
        """Send the hidden states to the peer, on S, behind the forward pass."""
        proxy: ProxyTensors = flight.result.pp_hidden_states_proxy_tensors
        self.streams.S.wait_event(flight.launch_event)
        shape, dtype = proxy.states.shape, proxy.states.dtype
        wire = flight.wire = self.device.empty("pp_proxy", *shape, dtype=dtype)
        transfer("send_proxy", wire, proxy.states)
        sent = self.device.event("proxy_sent")
        sent.record()
        flight.pp_outputs, flight.outputs_ready = self.peer.forward(proxy, wire, sent)

    def _finish(self, flight: Flight) -> None:
        """Take a microbatch's tokens from the peer, and process them."""
        d2h_event = self._prep_batch_result(flight, self._receive_tokens(flight))
        if not self.scheduler.args.has(Bug.PP_NO_D2H_SYNC):
            d2h_event.synchronize()
        process_batch_result(self.scheduler, flight.batch, flight.result)

    def _receive_tokens(self, flight: Flight) -> torch.Tensor:
        assert flight.pp_outputs is not None  # noqa: S101 - it was sent in the last iteration
        self.streams.S.wait_event(flight.outputs_ready)
        count = len(flight.batch.reqs)
        tokens = self.device.empty("next_token_ids", count, dtype=torch.int32)
        flight.next_token_ids = tokens  # read on C until the host has seen d2h_event
        transfer("receive_tokens", tokens, flight.pp_outputs)
        return tokens

    def _prep_batch_result(self, flight: Flight, tokens: torch.Tensor) -> Any:
        """Make next inputs and the host's copy on C; give the event behind them."""
        batch, result, C = flight.batch, flight.result, self.streams.C  # noqa: N806
        C.wait_stream(self.streams.S)
        with self.device.on(C):
            with streamsan.named("input_ids"):
                batch.output_ids = tokens.to(torch.int64)
            batch.output_ids.record_stream(self.streams.S)  # which may filter or merge it
            if not self.scheduler.args.has(Bug.PP_STASH_MISSING):
                self.scheduler.future_map.stash(batch, tokens)  # of #25945
            with streamsan.named("next_token_ids_cpu"):
                result.next_token_ids = tokens.to("cpu", non_blocking=True)
            d2h_event = self.device.event("d2h_event")
            d2h_event.record()
        return d2h_event


def transfer(name: str, target: torch.Tensor, source: torch.Tensor) -> None:
    """Copy between the stages as a communication kernel does, on the current stream."""
    streamsan.kernel(name, _copy, target, source, reads=[source], writes=[target])


def _copy(target: torch.Tensor, source: torch.Tensor) -> None:
    target.copy_(source)
