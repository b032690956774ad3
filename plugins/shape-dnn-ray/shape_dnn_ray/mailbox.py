"""What running tasks and the driver say to each other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple


class Started:
    """What a task reports first: from now on it runs."""


class Message(NamedTuple):
    """Something that a task reports.

    Attributes:
        number: of the message; its answer has the same.
        task: number of the task.
        node: where it runs.
        content: what it reports; None for a sign of life.
    """

    number: int
    task: int
    node: str
    content: object


class Mailbox:
    """Holds what tasks report until the driver fetches it, and the tasks until the driver has answered.

    An actor beside the driver, so that both sides make calls of their own and none has to be reached by the other.
    """

    def __init__(self) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[bool]] = {}
        self._sent = 0

    async def report(self, task: int, node: str, content: object) -> bool:
        """Hand over a report, and wait for the answer: whether to go on."""
        self._sent += 1
        number, answer = self._sent, asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self._messages.put(Message(number, task, node, content))
        return bool(await answer)

    async def fetch(self) -> list[Message]:
        """Wait for a message, and return all that have come."""
        messages = [await self._messages.get()]
        while not self._messages.empty():
            messages.append(self._messages.get_nowait())
        return messages

    async def answer(self, answers: Mapping[int, bool]) -> None:
        """Let tasks go on, or ask them to stop."""
        for number, go_on in answers.items():
            self._answers.pop(number).set_result(go_on)
