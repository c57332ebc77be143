-- Which words stand in which tickets. A row has the tickets of one part of the
-- numbers (4096 of them) that have a word; rows of the same part lie together,
-- so that new tickets write to few pages. Scope 0 is what a requester may see,
-- 1 what stands in work notes only.

-- +goose Up
CREATE TABLE search_words (
	part    INTEGER NOT NULL,
	word    TEXT    NOT NULL,
	scope   INTEGER NOT NULL CHECK (scope IN (0, 1)),
	tickets BLOB    NOT NULL,
	PRIMARY KEY (part, word, scope)
) STRICT, WITHOUT ROWID;

-- What was written lately and is not in search_words yet; scope 2 is what was
-- taken away.
CREATE TABLE search_fresh (
	id     INTEGER PRIMARY KEY AUTOINCREMENT,
	ticket INTEGER NOT NULL REFERENCES tickets (number) ON DELETE RESTRICT,
	scope  INTEGER NOT NULL CHECK (scope IN (0, 1, 2)),
	words  TEXT    NOT NULL
) STRICT;
CREATE INDEX search_fresh_ticket ON search_fresh (ticket);

-- Tickets below this number are still to be read.
INSERT INTO facts (name, value)
	SELECT 'search', CAST(CAST(coalesce(max(number), 0) + 1 AS TEXT) AS BLOB) FROM tickets;
