-- How long the last mail to ourselves was on its way, in microseconds.

-- +goose Up
ALTER TABLE heartbeats ADD COLUMN took INTEGER NOT NULL DEFAULT 0;
