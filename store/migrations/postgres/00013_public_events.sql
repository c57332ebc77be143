-- What a requester may see of a ticket's events, among all the others.

-- +goose Up
CREATE INDEX events_public ON events (chain, seq) WHERE what IN ('created', 'status');
