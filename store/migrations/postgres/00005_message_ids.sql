-- What became of a mail is asked for by its Message-ID, in and out. It is of
-- any length, which only a hash index takes.

-- +goose Up
CREATE INDEX intakes_message_id ON intakes USING hash (message_id) WHERE message_id <> '';
CREATE INDEX outbox_message_id ON outbox USING hash (message_id) WHERE message_id <> '';
