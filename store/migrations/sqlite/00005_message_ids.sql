-- What became of a mail is asked for by its Message-ID, in and out.

-- +goose Up
CREATE INDEX intakes_message_id ON intakes (message_id) WHERE message_id <> '';
CREATE INDEX outbox_message_id ON outbox (message_id) WHERE message_id <> '';
