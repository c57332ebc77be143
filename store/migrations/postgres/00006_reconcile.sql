-- Mails without a Message-ID are known again by their size.

-- +goose Up
CREATE INDEX intakes_unnamed ON intakes (mailbox, size) WHERE message_id = '';
