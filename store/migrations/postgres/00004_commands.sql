-- Reminders of due dates, senders that are heard no more, people who want to
-- hear no more of a ticket, and questions whether a mail was a technician's.

-- +goose Up
ALTER TABLE tickets ADD COLUMN reminded_at BIGINT;
CREATE INDEX tickets_due ON tickets (due_at)
	WHERE due_at IS NOT NULL AND reminded_at IS NULL;

CREATE TABLE blocked (
	addr TEXT    PRIMARY KEY CHECK (addr <> ''),
	who  TEXT    NOT NULL,
	at   BIGINT NOT NULL,
	proven BIGINT NOT NULL CHECK (proven IN (0, 1))
);

CREATE TABLE muted (
	ticket BIGINT NOT NULL REFERENCES tickets (number) ON DELETE RESTRICT,
	addr   TEXT    NOT NULL CHECK (addr <> ''),
	at     BIGINT NOT NULL,
	PRIMARY KEY (ticket, addr)
);

CREATE TABLE challenges (
	message_id TEXT    PRIMARY KEY CHECK (message_id <> ''),
	intake     BIGINT NOT NULL REFERENCES intakes (id) ON DELETE RESTRICT,
	addr       TEXT    NOT NULL CHECK (addr <> ''),
	at         BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	spent_at   BIGINT
);
CREATE INDEX challenges_addr ON challenges (addr, at);
CREATE INDEX challenges_intake ON challenges (intake);
