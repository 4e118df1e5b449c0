"""The bank for programs: JSON under /api/v1, described by /api/v1/openapi.json."""

from api.rest import checkins, corrections, counter, me, policies, queue, reference, rewards, sessions, shelf, stations

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
    *reference.handlers,
]
