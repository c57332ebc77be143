-- Reminders of due dates, senders that are heard no more, people who want to
-- hear no more of a ticket, and questions whether a mail was a technician's.

-- +goose Up
ALTER TABLE tickets ADD COLUMN reminded_at INTEGER;
CREATE INDEX tickets_due ON tickets (due_at)
	WHERE due_at IS NOT NULL AND reminded_at IS NULL;

CREATE TABLE blocked (
	addr TEXT    PRIMARY KEY CHECK (addr <> ''),
	who  TEXT    NOT NULL,
	at   INTEGER NOT NULL,
	proven INTEGER NOT NULL CHECK (proven IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE muted (
	ticket INTEGER NOT NULL REFERENCES tickets (number) ON DELETE RESTRICT,
	addr   TEXT    NOT NULL CHECK (addr <> ''),
	at     INTEGER NOT NULL,
	PRIMARY KEY (ticket, addr)
) STRICT, WITHOUT ROWID;

CREATE TABLE challenges (
	message_id TEXT    PRIMARY KEY CHECK (message_id <> ''),
	intake     INTEGER NOT NULL REFERENCES intakes (id) ON DELETE RESTRICT,
	addr       TEXT    NOT NULL CHECK (addr <> ''),
	at         INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	spent_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX challenges_addr ON challenges (addr, at);
CREATE INDEX challenges_intake ON challenges (intake);
