-- Who is heard no more, by each ticket that was marked as spam: what one
-- technician takes back must not take back another's mark. Ticket 0 are marks
-- from before, of which that is not known. A mark holds unless it was withdrawn
-- or, on the ticket that lifted names, somebody has said that the sender sends no
-- spam. The table "blocked" stays for programs of the version before, which may
-- still run.

-- +goose Up
CREATE TABLE blocks (
	addr      TEXT    NOT NULL CHECK (addr <> ''),
	ticket    BIGINT  NOT NULL,
	who       TEXT    NOT NULL,
	at        BIGINT  NOT NULL,
	proven    BIGINT  NOT NULL CHECK (proven IN (0, 1)),
	withdrawn BIGINT  NOT NULL CHECK (withdrawn IN (0, 1)),
	lifted    BIGINT  NOT NULL,
	PRIMARY KEY (addr, ticket)
);
INSERT INTO blocks (addr, ticket, who, at, proven, withdrawn, lifted)
	SELECT addr, 0, who, at, proven, 0, 0 FROM blocked;
