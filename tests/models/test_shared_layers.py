from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asd.models import shared_layers
from asd.models.shared_layers import SharedBatchNorm, SharedDropout, share_layers


class Threads:
    """Stands for ``torch.distributed``: each thread is a process."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.barrier = threading.Barrier(count, timeout=10)
        self.own = threading.local()
        self.given: dict[int, Tensor] = {}

    def get_rank(self) -> int:
        return int(self.own.rank)

    def get_world_size(self) -> int:
        return self.count

    def all_reduce(self, tensor: Tensor) -> None:
        self.given[self.get_rank()] = tensor.clone()
        self.barrier.wait()
        tensor.copy_(sum(self.given[rank] for rank in range(self.count)))  # type: ignore[arg-type]
        self.barrier.wait()

    def run(self, work: Callable[[int], Any]) -> list[Any]:
        """What ``work`` gives in each."""

        def as_rank(rank: int) -> Any:
            self.own.rank = rank
            try:
                return work(rank)
            except BaseException:
                self.barrier.abort()
                raise

        with ThreadPoolExecutor(self.count) as pool:
            return list(pool.map(as_rank, range(self.count)))


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Threads]:
    def make(count: int) -> Threads:
        made = Threads(count)
        monkeypatch.setattr(shared_layers, "dist", made)
        return made

    return make


def norm(kind: type[nn.Module], **options: Any) -> Any:
    torch.manual_seed(1)
    made = kind(3, 1e-3, **options)
    nn.init.normal_(made.weight)
    nn.init.normal_(made.bias)
    return made


@pytest.mark.parametrize("shares", [[4, 3], [1, 0, 6], [0, 7]])
@pytest.mark.parametrize(
    ("kind", "shape", "layout"),
    [
        (nn.BatchNorm2d, (7, 3, 4, 5), torch.contiguous_format),
        (nn.BatchNorm2d, (7, 3, 4, 5), torch.channels_last),
        (nn.BatchNorm1d, (7, 3), torch.contiguous_format),
    ],
)
def test_batch_norm_is_that_of_the_joined_batch(
    shares: list[int], kind: Any, shape: Any, layout: Any, threads: Callable[[int], Threads]
) -> None:
    # in float64 and far from zero, where a careless variance would lose digits
    torch.manual_seed(0)
    x = (100 + torch.randn(shape, dtype=torch.float64)).to(memory_format=layout)
    upstream = torch.randn(shape, dtype=torch.float64)
    expected = norm(kind, momentum=0.3).double()
    joined = x.clone().requires_grad_()
    for _ in range(2):
        y = expected(joined)
    y.backward(upstream)

    group = threads(len(shares))
    parts, ups = x.split(shares), upstream.split(shares)

    norms = [SharedBatchNorm.of(norm(kind, momentum=0.3).double()) for _ in shares]

    def work(rank: int) -> tuple[Tensor, Tensor, SharedBatchNorm]:
        own = norms[rank]
        part = parts[rank].clone().requires_grad_()
        for _ in range(2):
            y = own(part)
        y.backward(ups[rank])
        assert part.grad is not None
        return y.detach(), part.grad, own

    torch.set_num_threads(1)
    got = group.run(work)
    close = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(torch.cat([g[0] for g in got]), y.detach(), **close)
    torch.testing.assert_close(torch.cat([g[1] for g in got]), joined.grad, **close)
    for name in ("weight", "bias"):
        whole = sum(getattr(g[2], name).grad for g in got)
        torch.testing.assert_close(whole, getattr(expected, name).grad, **close)
    for _, _, own in got:
        assert list(own.state_dict()) == list(expected.state_dict())
        for name, value in expected.named_buffers():
            torch.testing.assert_close(own.get_buffer(name), value, **close)
        torch.testing.assert_close(own.eval()(x), expected.eval()(x), **close)
        expected.train()


def test_dropout_draws_what_one_process_draws(threads: Callable[[int], Threads]) -> None:
    x = torch.randn(7, 50)
    torch.manual_seed(3)
    expected = nn.Dropout(0.4)(x)
    group, shares, state = threads(3), x.split([2, 0, 5]), torch.random
    state.manual_seed(3)
    lock, before = threading.Lock(), state.get_rng_state()
    drop = SharedDropout(0.4)
    # threads share one generator, processes do not: each finds its state as it would be
    draw = shared_layers.F.dropout

    def own_state(*args: Any) -> Tensor:
        with lock:
            state.set_rng_state(before)
            return draw(*args)

    shared_layers.F.dropout = own_state
    try:
        got = group.run(lambda rank: drop(shares[rank]))
    finally:
        shared_layers.F.dropout = draw
    assert torch.equal(torch.cat(got), expected)
    assert drop.eval()(x) is x


def test_layers_are_replaced_and_names_stay() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)))
    before = {name: value.data_ptr() for name, value in network.state_dict().items()}
    parameters = [id(p) for p in network.parameters()]
    share_layers(network)
    assert isinstance(network[1][0], SharedBatchNorm)
    assert isinstance(network[1][1], SharedDropout)
    assert {n: v.data_ptr() for n, v in network.state_dict().items()} == before
    assert [id(p) for p in network.parameters()] == parameters
