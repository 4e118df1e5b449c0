"""Pages for people: everything that is answered with HTML."""

from api.pages import (
    admin,
    admin_members,
    admin_places,
    admin_trail,
    checkin,
    counter,
    entry,
    more,
    rewards,
    station,
    volunteer,
)

handlers = [
    *entry.handlers,
    *checkin.handlers,
    *volunteer.handlers,
    *rewards.handlers,
    *station.handlers,
    *counter.handlers,
    *more.handlers,
    *admin.handlers,
    *admin_places.handlers,
    *admin_members.handlers,
    *admin_trail.handlers,
]
