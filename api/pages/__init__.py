"""Pages for people: everything that is answered with HTML."""

from api.pages import admin, astray, card, checkin, counter, desk, entry, rewards, station, volunteer, ways

handlers = [
    *entry.handlers,
    *checkin.handlers,
    *ways.handlers,
    *volunteer.handlers,
    *card.handlers,
    *rewards.handlers,
    *station.handlers,
    *desk.handlers,
    *astray.handlers,
    *counter.handlers,
    *admin.handlers,
]
