-- Which words stand in which tickets. A row has the tickets of one part of the
-- numbers (4096 of them) that have a word; rows of the same part lie together,
-- so that new tickets write to few pages. Scope 0 is what a requester may see,
-- 1 what stands in work notes only.

-- +goose Up
CREATE TABLE search_words (
	part    BIGINT   NOT NULL,
	word    TEXT     COLLATE "C" NOT NULL,
	scope   SMALLINT NOT NULL CHECK (scope IN (0, 1)),
	tickets BYTEA    NOT NULL,
	PRIMARY KEY (part, word, scope)
);
ALTER TABLE search_words ALTER COLUMN tickets SET STORAGE PLAIN;

-- What was written lately and is not in search_words yet; scope 2 is what was
-- taken away.
CREATE TABLE search_fresh (
	id     BIGINT   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	ticket BIGINT   NOT NULL REFERENCES tickets (number) ON DELETE RESTRICT,
	scope  SMALLINT NOT NULL CHECK (scope IN (0, 1, 2)),
	words  TEXT     COLLATE "C" NOT NULL
);
CREATE INDEX search_fresh_ticket ON search_fresh (ticket);

-- Tickets below this number are still to be read.
INSERT INTO facts (name, value)
	SELECT 'search', convert_to(CAST(coalesce(max(number), 0) + 1 AS TEXT), 'UTF8') FROM tickets;
