-- What is public had words in it that a technician's answer quotes, which may be
-- those of a work note. Everything is read again for the search.

-- +goose Up
DELETE FROM search_fresh;
DELETE FROM search_words;
UPDATE facts SET value = (SELECT CAST(CAST(coalesce(max(number), 0) + 1 AS TEXT) AS BLOB) FROM tickets)
	WHERE name = 'search';
