"""Agents over HTTP: what is wanted of each, what its workers do, and a hand on it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from app.api.deps import OperationsDep, QueueDep
from app.api.work_answers import AgentAnswer
from app.use_cases.agents import agent_standing, agent_standings, pause_agent, start_agent, stop_agent

__all__ = ["router"]

router = APIRouter(prefix="/agents", tags=["agents"])

Name = Annotated[str, Path(max_length=64, description="live, backfill, features or research.", examples=["backfill"])]


class AgentList(BaseModel):
    """Every agent, in the order of their priorities."""

    items: list[AgentAnswer]


@router.get("")
def agents(operations: OperationsDep, queue: QueueDep) -> AgentList:
    """List the agents, what is wanted of each, and what each of its workers does."""
    return AgentList(items=[AgentAnswer.model_validate(one) for one in agent_standings(operations, queue)])


@router.get("/{name}")
def one_agent(operations: OperationsDep, queue: QueueDep, name: Name) -> AgentAnswer:
    """Tell what is wanted of one agent, and what each of its workers does."""
    return AgentAnswer.model_validate(agent_standing(operations, queue, name))


@router.post("/{name}/start")
def start(operations: OperationsDep, queue: QueueDep, name: Name) -> AgentAnswer:
    """Let an agent run; where no worker serves it, one is begun on the service's machine if its settings allow it.

    A worker that was begun is `starting` for some seconds.
    """
    return AgentAnswer.model_validate(start_agent(operations, queue, name))


@router.post("/{name}/pause")
def pause(operations: OperationsDep, queue: QueueDep, name: Name) -> AgentAnswer:
    """Let an agent rest: its workers stay, and what they were doing for it goes back into the queue within seconds."""
    return AgentAnswer.model_validate(pause_agent(operations, queue, name))


@router.post("/{name}/stop")
def stop(operations: OperationsDep, queue: QueueDep, name: Name) -> AgentAnswer:
    """Let an agent rest, and end the workers that serve no other; what they were doing goes back into the queue."""
    return AgentAnswer.model_validate(stop_agent(operations, queue, name))
