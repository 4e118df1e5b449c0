"""Pages for people: everything that is answered with HTML."""

from api.pages import admin, checkin, corrections, counter, entry, policy, record, rewards, shelf, station, volunteer

handlers = [
    *entry.handlers,
    *checkin.handlers,
    *volunteer.handlers,
    *record.handlers,
    *rewards.handlers,
    *station.handlers,
    *corrections.handlers,
    *counter.handlers,
    *admin.handlers,
    *policy.handlers,
    *shelf.handlers,
]
