"""The bank for programs: JSON under /api/v1, described by /api/v1/openapi.json."""

from api.rest import cards, checkins, counter, desk, me, queue, reference, rewards, sessions, shifts, stations

handlers = [
    *sessions.handlers,
    *me.handlers,
    *checkins.handlers,
    *queue.handlers,
    *rewards.handlers,
    *counter.handlers,
    *stations.handlers,
    *desk.handlers,
    *shifts.handlers,
    *cards.handlers,
    *reference.handlers,
]
