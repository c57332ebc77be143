-- Who asked to sign in on the page, and who is signed in. Of links, codes and
-- cookies only hashes are kept.

-- +goose Up
CREATE TABLE sign_ins (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	request    BLOB NOT NULL UNIQUE CHECK (length(request) = 32),
	link       BLOB NOT NULL UNIQUE CHECK (length(link) = 32),
	code       BLOB NOT NULL CHECK (length(code) = 32),
	addr       TEXT NOT NULL CHECK (addr <> ''),
	client     TEXT NOT NULL,
	mailed     INTEGER NOT NULL CHECK (mailed IN (0, 1)),
	tries      INTEGER NOT NULL,
	at         INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_ins_addr ON sign_ins (addr, at) WHERE mailed = 1;
CREATE INDEX sign_ins_client ON sign_ins (client, at);
CREATE INDEX sign_ins_expires ON sign_ins (expires_at);

CREATE TABLE sessions (
	id             INTEGER PRIMARY KEY AUTOINCREMENT,
	token          BLOB NOT NULL UNIQUE CHECK (length(token) = 32),
	previous       BLOB CHECK (length(previous) = 32),
	previous_until INTEGER,
	addr           TEXT NOT NULL CHECK (addr <> ''),
	agent          TEXT NOT NULL,
	at             INTEGER NOT NULL,
	renewed_at     INTEGER NOT NULL,
	seen_at        INTEGER NOT NULL,
	expires_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_previous ON sessions (previous) WHERE previous IS NOT NULL;
CREATE INDEX sessions_addr ON sessions (addr, id);
CREATE INDEX sessions_expires ON sessions (expires_at);
CREATE INDEX sessions_seen ON sessions (seen_at);
