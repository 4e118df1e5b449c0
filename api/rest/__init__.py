"""The bank for programs: JSON under /api/v1, described by /api/v1/openapi.json."""

from api.rest import checkins, counter, me, queue, reference, rewards, sessions, shelf, stations

handlers = [
    *sessions.handlers,
    *me.handlers,
    *checkins.handlers,
    *queue.handlers,
    *rewards.handlers,
    *shelf.handlers,
    *counter.handlers,
    *stations.handlers,
    *reference.handlers,
]
