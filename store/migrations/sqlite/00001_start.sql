-- Times are microseconds since 1970 in UTC; flags are 0 or 1; lists are JSON.
-- What a query filters on by a constant is written as a constant there too: a
-- partial index is not used for a bound value.

-- +goose Up
CREATE TABLE tickets (
	number            INTEGER PRIMARY KEY AUTOINCREMENT,
	mailbox           TEXT    NOT NULL,
	subject           TEXT    NOT NULL,
	requester         TEXT    NOT NULL,
	requester_name    TEXT    NOT NULL,
	status            TEXT    NOT NULL CHECK (status IN ('open', 'in_progress', 'waiting', 'resolved', 'closed')),
	priority          TEXT    NOT NULL CHECK (priority IN ('critical', 'high', 'medium', 'low')),
	team              TEXT    NOT NULL,
	assignee          TEXT    NOT NULL,
	tags              TEXT    NOT NULL,
	reasons           TEXT    NOT NULL,
	secret            BLOB    NOT NULL CHECK (length(secret) = 16),
	chain_head        BLOB,
	events            INTEGER NOT NULL CHECK (events >= 0),
	entries           INTEGER NOT NULL CHECK (entries >= 0),
	created_at        INTEGER NOT NULL,
	updated_at        INTEGER NOT NULL,
	first_response_at INTEGER,
	resolved_at       INTEGER,
	closed_at         INTEGER,
	due_at            INTEGER,
	answered_at       INTEGER
) STRICT;
INSERT INTO sqlite_sequence (name, seq) VALUES ('tickets', 1000);
CREATE INDEX tickets_status ON tickets (status, number);
CREATE INDEX tickets_queue ON tickets (status, team, number, priority);
CREATE INDEX tickets_assignee ON tickets (status, assignee, number);
CREATE INDEX tickets_requester ON tickets (requester, number);
CREATE INDEX tickets_created ON tickets (created_at);
CREATE INDEX tickets_resolved ON tickets (resolved_at);
CREATE INDEX tickets_unanswered ON tickets (first_response_at, number)
	WHERE status IN ('open', 'in_progress', 'waiting');

CREATE TABLE intakes (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	mailbox     TEXT    NOT NULL,
	validity    INTEGER NOT NULL CHECK (validity BETWEEN 0 AND 4294967295),
	uid         INTEGER NOT NULL CHECK (uid BETWEEN 0 AND 4294967295),
	sha256      BLOB    CHECK (length(sha256) = 32),
	content_key BLOB,
	message_id  TEXT    NOT NULL,
	sender      TEXT    NOT NULL,
	subject     TEXT    NOT NULL,
	size        INTEGER NOT NULL,
	arrived_at  INTEGER,
	seen_at     INTEGER NOT NULL,
	decided_at  INTEGER,
	filed_at    INTEGER,
	fetches     INTEGER NOT NULL,
	failures    INTEGER NOT NULL CHECK (failures >= 0),
	handling    TEXT    NOT NULL CHECK (handling IN ('', 'batch', 'alone')),
	last_error  TEXT    NOT NULL,
	fate        TEXT    CHECK (fate IN ('new_ticket', 'appended', 'unverified', 'duplicate', 'automatic', 'loop', 'bounce',
		'spam', 'folded', 'oversize', 'quarantined', 'dismissed', 'refused', 'gone')),
	reason      TEXT    NOT NULL,
	ticket      INTEGER REFERENCES tickets (number) ON DELETE RESTRICT,
	file        TEXT    NOT NULL,
	kind        TEXT    NOT NULL,
	why         TEXT    NOT NULL,
	UNIQUE (mailbox, validity, uid),
	CHECK ((fate IS NULL) = (decided_at IS NULL))
) STRICT;
CREATE INDEX intakes_mailbox ON intakes (mailbox, id);
CREATE INDEX intakes_content ON intakes (mailbox, content_key);
CREATE INDEX intakes_sha256 ON intakes (sha256, mailbox);
CREATE INDEX intakes_fate ON intakes (fate, id);
CREATE INDEX intakes_undone ON intakes (id) WHERE filed_at IS NULL;
CREATE INDEX intakes_ticket ON intakes (ticket);

CREATE TABLE raws (
	id      INTEGER PRIMARY KEY,
	sha256  BLOB    NOT NULL UNIQUE CHECK (length(sha256) = 32),
	size    INTEGER NOT NULL,
	kept_at INTEGER NOT NULL,
	data    BLOB    NOT NULL
) STRICT;

CREATE INDEX raws_kept ON raws (kept_at);

CREATE TABLE entries (
	id          INTEGER PRIMARY KEY,
	ticket      INTEGER NOT NULL REFERENCES tickets (number) ON DELETE RESTRICT,
	seq         INTEGER NOT NULL CHECK (seq > 0),
	kind        TEXT    NOT NULL CHECK (kind IN ('message', 'note')),
	visibility  TEXT    NOT NULL CHECK (visibility IN ('public', 'internal')),
	author      TEXT    NOT NULL,
	author_name TEXT    NOT NULL,
	verified    INTEGER NOT NULL CHECK (verified IN (0, 1)),
	body        TEXT    NOT NULL,
	full_body   TEXT    NOT NULL,
	attachments TEXT    NOT NULL,
	blocks      TEXT    NOT NULL,
	flags       TEXT    NOT NULL,
	intake      INTEGER REFERENCES intakes (id) ON DELETE RESTRICT,
	message_id  TEXT    NOT NULL,
	at          INTEGER NOT NULL,
	UNIQUE (ticket, seq)
) STRICT;
CREATE INDEX entries_intake ON entries (intake);

CREATE TABLE events (
	id            INTEGER PRIMARY KEY,
	chain         INTEGER NOT NULL,
	ticket        INTEGER REFERENCES tickets (number) ON DELETE RESTRICT,
	seq           INTEGER NOT NULL CHECK (seq > 0),
	at            INTEGER NOT NULL,
	actor         TEXT    NOT NULL,
	what          TEXT    NOT NULL,
	value_before  TEXT    NOT NULL,
	value_after   TEXT    NOT NULL,
	reason        TEXT    NOT NULL,
	intake        INTEGER REFERENCES intakes (id) ON DELETE RESTRICT,
	salt          BLOB    CHECK (length(salt) = 16),
	commitment    BLOB    NOT NULL CHECK (length(commitment) = 32),
	previous      BLOB,
	hash          BLOB    NOT NULL CHECK (length(hash) = 32),
	UNIQUE (chain, seq),
	CHECK (chain = coalesce(ticket, 0))
) STRICT;
CREATE INDEX events_ticket ON events (ticket);
CREATE INDEX events_intake ON events (intake);

-- Chains that belong to no ticket: 0 is the desk's own.
CREATE TABLE chains (
	chain  INTEGER PRIMARY KEY,
	head   BLOB,
	events INTEGER NOT NULL CHECK (events >= 0)
) STRICT;
INSERT INTO chains (chain, head, events) VALUES (0, NULL, 0);

CREATE TABLE message_ids (
	id        TEXT    NOT NULL,
	ticket    INTEGER NOT NULL REFERENCES tickets (number) ON DELETE RESTRICT,
	direction TEXT    NOT NULL,
	at        INTEGER NOT NULL,
	PRIMARY KEY (id, ticket)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_ids_ticket ON message_ids (ticket);

CREATE TABLE people (
	addr     TEXT    PRIMARY KEY,
	name     TEXT    NOT NULL,
	first_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE participants (
	ticket INTEGER NOT NULL REFERENCES tickets (number) ON DELETE RESTRICT,
	addr   TEXT    NOT NULL CHECK (addr <> ''),
	name   TEXT    NOT NULL,
	how    TEXT    NOT NULL,
	at     INTEGER NOT NULL,
	PRIMARY KEY (ticket, addr)
) STRICT, WITHOUT ROWID;
CREATE INDEX participants_addr ON participants (addr, ticket);

CREATE TABLE links (
	from_ticket INTEGER NOT NULL REFERENCES tickets (number) ON DELETE RESTRICT,
	to_ticket   INTEGER NOT NULL REFERENCES tickets (number) ON DELETE RESTRICT,
	kind        TEXT    NOT NULL,
	at          INTEGER NOT NULL,
	PRIMARY KEY (from_ticket, to_ticket, kind),
	CHECK (from_ticket <> to_ticket)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_to ON links (to_ticket);

CREATE TABLE outbox_bodies (
	id   INTEGER PRIMARY KEY,
	mail TEXT    NOT NULL UNIQUE,
	size INTEGER NOT NULL,
	body BLOB    NOT NULL
) STRICT;

CREATE TABLE outbox (
	id            INTEGER PRIMARY KEY AUTOINCREMENT,
	key           TEXT    NOT NULL UNIQUE,
	mail          TEXT    NOT NULL REFERENCES outbox_bodies (mail) ON DELETE RESTRICT,
	ticket        INTEGER REFERENCES tickets (number) ON DELETE RESTRICT,
	intake        INTEGER REFERENCES intakes (id) ON DELETE RESTRICT,
	recipient     TEXT    NOT NULL CHECK (recipient <> ''),
	sender        TEXT    NOT NULL,
	message_id    TEXT    NOT NULL,
	kind          TEXT    NOT NULL,
	subject       TEXT    NOT NULL,
	automatic     INTEGER NOT NULL CHECK (automatic IN (0, 1)),
	size          INTEGER NOT NULL,
	state         TEXT    NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'uncertain', 'failed', 'cancelled')),
	attempts      INTEGER NOT NULL CHECK (attempts >= 0),
	cuts          INTEGER NOT NULL CHECK (cuts >= 0),
	due_at        INTEGER,
	give_up_at    INTEGER,
	created_at    INTEGER NOT NULL,
	sent_at       INTEGER,
	lease_owner   TEXT    NOT NULL,
	lease_session TEXT    NOT NULL,
	lease_until   INTEGER,
	answer        TEXT    NOT NULL,
	CHECK ((state = 'sending') = (lease_until IS NOT NULL)),
	CHECK (state NOT IN ('queued', 'sending') OR due_at IS NOT NULL),
	CHECK (state NOT IN ('sent', 'failed', 'cancelled') OR due_at IS NULL)
) STRICT;
CREATE INDEX outbox_due ON outbox (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX outbox_unfinished ON outbox (ticket, recipient, id) WHERE due_at IS NOT NULL;
CREATE INDEX outbox_state ON outbox (state, id);
CREATE INDEX outbox_ticket ON outbox (ticket, id);
CREATE INDEX outbox_mail ON outbox (mail);
CREATE INDEX outbox_intake ON outbox (intake);
CREATE INDEX outbox_automatic ON outbox (recipient, created_at) WHERE automatic = 1;
CREATE INDEX outbox_automatic_all ON outbox (created_at) WHERE automatic = 1;

CREATE TABLE leases (
	name     TEXT    PRIMARY KEY,
	owner    TEXT    NOT NULL,
	session  TEXT    NOT NULL,
	epoch    INTEGER NOT NULL CHECK (epoch > 0),
	until_at INTEGER NOT NULL
) STRICT;

CREATE TABLE heartbeats (
	name       TEXT    PRIMARY KEY,
	at         INTEGER NOT NULL,
	ok         INTEGER NOT NULL CHECK (ok IN (0, 1)),
	detail     TEXT    NOT NULL,
	last_ok_at INTEGER,
	retry_at   INTEGER,
	waiting    INTEGER NOT NULL
) STRICT;

CREATE TABLE mailboxes (
	name     TEXT    PRIMARY KEY,
	start_at INTEGER,
	validity INTEGER NOT NULL,
	uid_next INTEGER NOT NULL
) STRICT;

CREATE TABLE facts (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
) STRICT;
