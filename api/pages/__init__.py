"""Pages for people: everything that is answered with HTML."""

from api.pages import (
    admin,
    astray,
    card,
    checkin,
    corrections,
    counter,
    desk,
    entry,
    policy,
    record,
    rewards,
    shelf,
    statement,
    station,
    volunteer,
    ways,
)

handlers = [
    *entry.handlers,
    *checkin.handlers,
    *ways.handlers,
    *volunteer.handlers,
    *statement.handlers,
    *record.handlers,
    *card.handlers,
    *rewards.handlers,
    *station.handlers,
    *desk.handlers,
    *astray.handlers,
    *corrections.handlers,
    *counter.handlers,
    *admin.handlers,
    *policy.handlers,
    *shelf.handlers,
]
