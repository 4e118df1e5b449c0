"""The bank for programs: JSON under /api/v1, described by /api/v1/openapi.json."""

from api.rest import (
    cards,
    checkins,
    corrections,
    counter,
    desk,
    me,
    policies,
    queue,
    reference,
    rewards,
    sessions,
    shelf,
    shifts,
    stations,
)

handlers = [
    *sessions.handlers,
    *me.handlers,
    *checkins.handlers,
    *queue.handlers,
    *corrections.handlers,
    *rewards.handlers,
    *shelf.handlers,
    *counter.handlers,
    *stations.handlers,
    *policies.handlers,
    *desk.handlers,
    *shifts.handlers,
    *cards.handlers,
    *reference.handlers,
]
