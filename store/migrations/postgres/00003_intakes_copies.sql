-- The newest of a mail's copies is found at the end of its part of the index,
-- however many there are.

-- +goose Up
DROP INDEX intakes_content;
DROP INDEX intakes_sha256;
CREATE INDEX intakes_content ON intakes (mailbox, content_key, id);
CREATE INDEX intakes_sha256 ON intakes (sha256, mailbox, id);
