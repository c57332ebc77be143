-- How many live tickets there are of each kind, so that a dashboard need not
-- count them one by one. A transaction adds what it changes to live_changes,
-- which nobody else waits for; now and then that is added up in live_counts.
-- A count is the sum of both.

-- +goose Up
CREATE TABLE live_counts (
	status   TEXT   NOT NULL,
	team     TEXT   NOT NULL,
	priority TEXT   NOT NULL,
	free     BIGINT NOT NULL CHECK (free IN (0, 1)),
	n        BIGINT NOT NULL,
	PRIMARY KEY (status, team, priority, free)
);
CREATE TABLE live_changes (
	id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	status   TEXT   NOT NULL,
	team     TEXT   NOT NULL,
	priority TEXT   NOT NULL,
	free     BIGINT NOT NULL CHECK (free IN (0, 1)),
	n        BIGINT NOT NULL
);
-- Both are emptied or written anew all the time.
ALTER TABLE live_counts SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
ALTER TABLE live_changes SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
INSERT INTO live_counts (status, team, priority, free, n)
	SELECT status, team, priority, CASE WHEN assignee = '' THEN 1 ELSE 0 END, count(*) FROM tickets
	WHERE status IN ('open', 'in_progress', 'waiting') GROUP BY 1, 2, 3, 4;
