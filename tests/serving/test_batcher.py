import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any

import pytest

from serving.batcher import DynamicBatcher
from serving.errors import AnswerTimeout, Draining, Hanging, ModelFailure, Overloaded


class Model:
    """Doubles numbers; can be held in the middle of a batch, and can fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started = threading.Event()
        self.released = threading.Event()
        self.released.set()
        self.error: BaseException | None = None

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.started.set()
        assert self.released.wait(timeout=30)
        if self.error:
            raise self.error
        return [2 * item for item in items]

    async def busy(self) -> None:
        while not self.started.is_set():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def running(
    model: Callable[[Sequence[int]], Sequence[int]], **options: Any
) -> AsyncIterator[DynamicBatcher[int, int]]:
    settings = {"max_batch_size": 8, "max_queue_size": 100, "timeout_s": 10.0, "on_batch": lambda *_: None, **options}
    batcher = DynamicBatcher[int, int](model, **settings)
    batcher.start()
    try:
        yield batcher
    finally:
        await batcher.stop()


def test_every_caller_gets_its_own_answer() -> None:
    async def scenario() -> None:
        async def caller(item: int) -> None:
            await asyncio.sleep(random.random() / 100)
            assert (await batcher.submit([item])).values == [2 * item]

        async with running(model, max_queue_size=1000) as batcher:
            await asyncio.gather(*(caller(item) for item in range(500)))

    model = Model()
    asyncio.run(scenario())
    assert sorted(chain.from_iterable(model.batches)) == list(range(500))
    assert max(map(len, model.batches)) <= 8


def test_a_batch_gathers_while_the_model_is_busy_and_no_longer() -> None:
    async def scenario() -> None:
        async with running(model) as batcher:
            model.released.clear()
            first = asyncio.create_task(batcher.submit([0]))
            await model.busy()
            others = [asyncio.create_task(batcher.submit([item])) for item in range(1, 12)]
            await asyncio.sleep(0.01)
            model.released.set()
            answers = await asyncio.gather(first, *others)
            assert [answer.values[0] for answer in answers] == [2 * item for item in range(12)]
            assert answers[1].queue_s >= 0.009

    model = Model()
    asyncio.run(scenario())
    assert [len(batch) for batch in model.batches] == [1, 8, 3]


@pytest.mark.parametrize("error", [RuntimeError("secret"), SystemExit("secret"), KeyboardInterrupt("secret")])
def test_a_failing_model_tells_every_caller_and_recovers(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with running(model, timeout_s=2.0) as batcher:
            model.error = error
            failures = await asyncio.gather(*(batcher.submit([item]) for item in range(5)), return_exceptions=True)
            assert all(isinstance(failure, ModelFailure) for failure in failures)
            assert "secret" not in str(failures[0])
            model.error = None
            assert (await batcher.submit([21])).values == [42]

    model = Model()
    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records] == ["the model failed on a batch of 5"]
    assert "secret" in caplog.text


def test_a_model_that_loses_answers_tells_every_caller(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with running(lambda items: items[1:]) as batcher:
            with pytest.raises(ModelFailure):
                await batcher.submit([1])

    asyncio.run(scenario())
    assert "1 items gave 0 results" in caplog.text


def test_a_model_that_hangs_is_reported_once_its_callers_are_answered() -> None:
    async def scenario() -> None:
        told: list[float] = []
        options = {"timeout_s": 0.05, "hang_timeout_s": 0.2, "on_hang": lambda: told.append(time.perf_counter())}
        async with running(model, **options) as batcher:
            for item in range(50):  # a model at work does not hang
                await batcher.submit([item])
                await asyncio.sleep(0.005)
            assert not told
            model.released.clear()
            started = time.perf_counter()
            with pytest.raises(AnswerTimeout):
                await batcher.submit([1])
            assert batcher.hanging
            with pytest.raises(Hanging):
                await batcher.submit([2])
            await asyncio.sleep(0.3)
            assert 0.2 <= told[0] - started < 0.3
            model.released.set()
            await asyncio.sleep(0.02)
            assert not batcher.hanging
            assert (await batcher.submit([2])).values == [4]

    model = Model()
    asyncio.run(scenario())


def test_a_caller_that_leaves_hurts_nobody() -> None:
    async def scenario() -> None:
        async with running(model) as batcher:
            model.released.clear()
            inside = asyncio.create_task(batcher.submit([1]))
            await model.busy()
            waiting = [asyncio.create_task(batcher.submit([item])) for item in (2, 3, 4)]
            await asyncio.sleep(0.01)
            inside.cancel()  # its batch runs already
            waiting[1].cancel()  # its batch has not formed yet
            await asyncio.sleep(0)
            model.released.set()
            assert (await waiting[0]).values == [4]
            assert (await waiting[2]).values == [8]

    model = Model()
    asyncio.run(scenario())
    assert model.batches == [[1], [2, 4]]


def test_a_full_queue_refuses_at_once() -> None:
    async def scenario() -> None:
        async with running(model, max_queue_size=8) as batcher:
            model.released.clear()
            first = asyncio.create_task(batcher.submit([0]))
            await model.busy()
            accepted = [asyncio.create_task(batcher.submit([item])) for item in range(7)]  # and the first
            await asyncio.sleep(0.01)
            with pytest.raises(Overloaded):
                await batcher.submit([99])
            model.released.set()
            await asyncio.gather(first, *accepted)

    model = Model()
    asyncio.run(scenario())


def test_a_slow_model_is_not_waited_for_longer_than_the_timeout() -> None:
    async def scenario() -> None:
        async with running(model, timeout_s=0.05) as batcher:
            model.released.clear()
            with pytest.raises(AnswerTimeout):
                await batcher.submit([1])
            model.released.set()
            await asyncio.sleep(0.01)
            assert (await batcher.submit([2])).values == [4]

    model = Model()
    asyncio.run(scenario())


def test_stopping_answers_what_was_accepted_and_refuses_the_rest() -> None:
    async def scenario() -> None:
        async with running(model) as batcher:
            model.released.clear()
            first = asyncio.create_task(batcher.submit([0]))
            await model.busy()
            accepted = [asyncio.create_task(batcher.submit([item])) for item in range(20)]
            await asyncio.sleep(0.01)
            stop = asyncio.create_task(batcher.stop())
            await asyncio.sleep(0.01)
            assert not batcher.accepting
            with pytest.raises(Draining):
                await batcher.submit([99])
            model.released.set()
            await stop
            assert [(await answer).values[0] for answer in accepted] == [2 * item for item in range(20)]
            await first

    model = Model()
    asyncio.run(scenario())


def test_stopping_with_a_hung_model_answers_everybody() -> None:
    async def scenario() -> None:
        batcher = DynamicBatcher[int, int](
            model, max_batch_size=2, max_queue_size=8, timeout_s=0.2, on_batch=lambda *_: None
        )
        batcher.start()
        model.released.clear()
        callers = [asyncio.create_task(batcher.submit([item])) for item in range(6)]
        await model.busy()
        await asyncio.sleep(0.25)
        assert not batcher.accepting  # not ready: the model hangs
        await batcher.stop()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(outcome, Draining | AnswerTimeout) for outcome in outcomes)
        model.released.set()

    model = Model()
    asyncio.run(scenario())


def test_one_that_cannot_bear_its_answer_leaves_the_others_theirs(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with running(Model()) as batcher:
            batcher.add([1], lambda _: [].pop())
            assert (await batcher.submit([2])).values == [4]

    asyncio.run(scenario())
    assert "IndexError" in caplog.text
