-- How many live tickets there are of each kind, so that a dashboard need not
-- count them one by one. A transaction adds what it changes to live_changes,
-- which nobody else waits for; now and then that is added up in live_counts.
-- A count is the sum of both.

-- +goose Up
CREATE TABLE live_counts (
	status   TEXT    NOT NULL,
	team     TEXT    NOT NULL,
	priority TEXT    NOT NULL,
	free     INTEGER NOT NULL CHECK (free IN (0, 1)),
	n        INTEGER NOT NULL,
	PRIMARY KEY (status, team, priority, free)
) STRICT, WITHOUT ROWID;
CREATE TABLE live_changes (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	status   TEXT    NOT NULL,
	team     TEXT    NOT NULL,
	priority TEXT    NOT NULL,
	free     INTEGER NOT NULL CHECK (free IN (0, 1)),
	n        INTEGER NOT NULL
) STRICT;
INSERT INTO live_counts (status, team, priority, free, n)
	SELECT status, team, priority, assignee = '', count(*) FROM tickets
	WHERE status IN ('open', 'in_progress', 'waiting') GROUP BY 1, 2, 3, 4;
