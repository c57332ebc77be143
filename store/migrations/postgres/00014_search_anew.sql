-- What is public had words in it that a technician's answer quotes, which may be
-- those of a work note. Everything is read again for the search.

-- +goose Up
DELETE FROM search_fresh;
TRUNCATE search_words;
UPDATE facts SET value = (SELECT convert_to(CAST(coalesce(max(number), 0) + 1 AS TEXT), 'UTF8') FROM tickets)
	WHERE name = 'search';
