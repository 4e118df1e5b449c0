"""The bank for programs: JSON under /api/v1, described by /api/v1/openapi.json."""

from api.rest import (
    checkins,
    counter,
    funds,
    me,
    members,
    queue,
    reference,
    regions,
    rewards,
    roles,
    sessions,
    stations,
)

handlers = [
    *sessions.handlers,
    *me.handlers,
    *checkins.handlers,
    *queue.handlers,
    *rewards.handlers,
    *counter.handlers,
    *stations.handlers,
    *members.handlers,
    *roles.handlers,
    *regions.handlers,
    *funds.handlers,
    *reference.handlers,
]
