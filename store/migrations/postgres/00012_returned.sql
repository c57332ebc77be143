-- Addresses that mail did not reach, by the delivery report on the last one.

-- +goose Up
ALTER TABLE people ADD COLUMN returned_at BIGINT;
ALTER TABLE people ADD COLUMN returned_why TEXT NOT NULL DEFAULT '';
CREATE INDEX people_returned ON people (addr) WHERE returned_at IS NOT NULL;
