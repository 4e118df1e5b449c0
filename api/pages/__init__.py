"""Pages for people: everything that is answered with HTML."""

from api.pages import admin, checkin, counter, entry, rewards, shelf, station, volunteer

handlers = [
    *entry.handlers,
    *checkin.handlers,
    *volunteer.handlers,
    *rewards.handlers,
    *station.handlers,
    *counter.handlers,
    *admin.handlers,
    *shelf.handlers,
]
