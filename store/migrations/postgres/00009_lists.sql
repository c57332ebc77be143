-- Lists of tickets in every order and with every filter: what comes first in
-- an index is fixed by one part of a query, then comes the order, and last
-- what is looked at without fetching the row (lists.go). The dashboard counts
-- along them; first responses along the day on which a ticket was opened.

-- +goose Up
DROP INDEX tickets_status;
DROP INDEX tickets_queue;
DROP INDEX tickets_assignee;
DROP INDEX tickets_requester;
DROP INDEX tickets_created;
CREATE INDEX tickets_priority ON tickets (status, priority, number);
CREATE INDEX tickets_team ON tickets (status, team, priority, number, assignee, updated_at);
CREATE INDEX tickets_assignee ON tickets (status, assignee, priority, number, team, updated_at);
CREATE INDEX tickets_requester ON tickets (requester, number, status, priority, updated_at, due_at);
CREATE INDEX tickets_changed ON tickets (status, updated_at, number, priority, team, assignee);
CREATE INDEX tickets_dated ON tickets (status, due_at, number, priority, team, assignee)
	WHERE due_at IS NOT NULL;
CREATE INDEX tickets_created ON tickets (created_at, first_response_at);

-- What is counted along an index has to be looked up in its row as long as the
-- server has not been there since it was written, which takes twice as long.
-- By default it goes there only when a fifth of all rows is new.
ALTER TABLE tickets SET (autovacuum_vacuum_insert_scale_factor = 0.005, autovacuum_vacuum_scale_factor = 0.01);
