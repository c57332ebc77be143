-- What was written on a ticket lately is counted along this: seq gives no hold
-- on time, and the rows hold whole mails.

-- +goose Up
CREATE INDEX entries_at ON entries (ticket, at);
