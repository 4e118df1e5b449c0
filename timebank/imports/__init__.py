"""What a community brings along: spreadsheets of regions, stations, people, cards, hours and points.

    sheets    a file's rows, whatever program wrote it        columns   which column is which field, guessed and shown
    cells     what is in a cell: dates, phones, hours         runs      batches, dry runs, going on where it stopped
    uploads   what is handed in at the office         waiting   the process that tries and imports it
    places, people, service: what a row of each kind becomes

Every row has an id that follows from what it says, under a key of the bank: imported again, in another file or after a
crash, it is the same row and changes nothing.
"""
