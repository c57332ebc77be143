package store

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"time"

	"gorm.io/gorm"
)

// How long what belongs to signing in on the page is good for, and how often it
// may be tried (T40).
const (
	SignInValid = 15 * time.Minute   // a link and its code
	SessionIdle = 12 * time.Hour     // a session that nobody uses
	SessionMost = 7 * 24 * time.Hour // any session
	sessionNew  = time.Hour          // then its cookie gets another value
	sessionBoth = time.Minute        // for which the value before is still good: pages are loaded side by side
	seenEvery   = 5 * time.Minute    // how exactly it is known when a session was used
	// Mails to one address within SignInValid. Whoever is refused a further one
	// has a mail with a good link, so that nobody can be locked out by others
	// who ask in their name.
	signInMails = 3
	signInAsks  = 30 // from one client within SignInValid
	// Of all those together that no mail was sent for: then the oldest one makes
	// room for a new one, so that a crowd of strangers neither fills the disk nor
	// locks anybody out.
	mostSignIns = 20000
	codeTries   = 5
	mostListed  = 100
)

// ErrTooOften says that a client has asked to sign in too often.
var ErrTooOften = errors.New("asked to sign in too often")

// SignIn is somebody's wish to sign in. What is secret comes in as its SHA-256.
type SignIn struct {
	Addr    string // in lower case
	Client  string // where the wish comes from; empty: the machine itself, which may ask as often as it likes
	Known   bool   // somebody has the address who may sign in; to all others nothing is sent
	Request []byte // hash of what the browser that asks holds
	Link    []byte // hash of what the link in the mail holds
	Code    []byte // hash of what that browser holds together with the code in the mail
}

// Session is somebody who is signed in.
type Session struct {
	ID                     int64
	Addr                   string
	Agent                  string // the browser, by its own words
	Created, Seen, Expires time.Time
	Stale                  bool // use has to be noted: SeeSession
	Old                    bool // its cookie is to get another value
}

// NewSession is what a session begins with.
type NewSession struct {
	Token []byte // SHA-256 of the cookie's value
	Agent string
}

type signInRow struct {
	ID                  int64 `gorm:"primaryKey"`
	Request, Link, Code blob
	Addr                short
	Client              short
	Mailed              flag
	Tries               int64
	At, ExpiresAt       stamp
}

func (signInRow) TableName() string { return "sign_ins" }

type sessionRow struct {
	ID                int64 `gorm:"primaryKey"`
	Token, Previous   blob
	PreviousUntil     stamp
	Addr              short
	Agent             text
	At, RenewedAt     stamp
	SeenAt, ExpiresAt stamp
}

func (sessionRow) TableName() string { return "sessions" }

func (r sessionRow) session(now time.Time) Session {
	return Session{
		ID: r.ID, Addr: string(r.Addr), Agent: string(r.Agent),
		Created: r.At.time(), Seen: r.SeenAt.time(), Expires: r.ExpiresAt.time(),
		Stale: now.Sub(r.SeenAt.time()) >= seenEvery, Old: now.Sub(r.RenewedAt.time()) >= sessionNew,
	}
}

// AskSignIn keeps a wish to sign in, and says whether a mail with the link is to
// be sent: to who is known, and not too often. The error is ErrTooOften when this client has to wait.
func (s *Store) AskSignIn(ctx context.Context, in SignIn) (mail bool, err error) {
	// Who is refused does not get as far as the one transaction that mail waits
	// for, too.
	reading, cancel := context.WithTimeout(ctx, s.limits.read)
	defer cancel()
	if err := tooOften(reading, s.reader, in.Client, s.now()); err != nil {
		return false, fmt.Errorf("ask to sign in: %w", err)
	}
	err = s.Write(ctx, func(tx *Tx) error {
		if err := tx.endOld(); err != nil {
			return err
		}
		if err := tooOften(tx.ctx, tx.db, in.Client, tx.now); err != nil {
			return tx.noted(err)
		}
		if err := tx.exec("DELETE FROM sign_ins WHERE id IN (SELECT id FROM sign_ins WHERE mailed = 0 AND client <> '' ORDER BY expires_at DESC, id DESC LIMIT 1000 OFFSET ?)", mostSignIns-1); err != nil {
			return err
		}
		since := at(tx.now.Add(-SignInValid))
		mailed, err := find[countRow](tx, "SELECT count(*) AS n FROM sign_ins WHERE addr = ? AND at > ? AND mailed = 1", short(in.Addr), since)
		if err != nil {
			return err
		}
		mail = in.Known && (in.Client == "" || mailed[0].N < signInMails)
		return insert(tx, &[]signInRow{{
			Request: in.Request, Link: in.Link, Code: in.Code, Addr: short(in.Addr), Client: short(in.Client), Mailed: flag(mail && in.Client != ""),
			At: at(tx.now), ExpiresAt: at(tx.now.Add(SignInValid)),
		}})
	})
	if err != nil {
		return false, fmt.Errorf("ask to sign in: %w", err)
	}
	return mail, nil
}

// tooOften gives ErrTooOften when a client may not ask to sign in at present.
func tooOften(ctx context.Context, db *gorm.DB, client string, now time.Time) error {
	if client == "" {
		return nil
	}
	asked, err := rowsFor[countRow](ctx, db, "SELECT count(*) AS n FROM sign_ins WHERE client = ? AND at > ?", short(client), at(now.Add(-SignInValid)))
	if err == nil && asked[0].N >= signInAsks {
		err = ErrTooOften
	}
	return err
}

// SpendLink turns a link into a session: once, and while it is good.
// ErrNotFound says that it is not (any more).
func (s *Store) SpendLink(ctx context.Context, link []byte, begin NewSession) (out Session, err error) {
	err = s.wish(ctx, "SELECT * FROM sign_ins WHERE link = ? AND expires_at > ? AND tries < ?", link, math.MaxInt64, func(tx *Tx, r signInRow) error {
		out, err = tx.signIn(r, begin, "by the link in a mail")
		return err
	})
	if err != nil {
		return Session{}, fmt.Errorf("spend a link: %w", err)
	}
	return out, nil
}

// SpendCode does the same with a code, for the browser that has asked for it.
// After some wrong ones no code is good for that request any more; the link in
// the mail still is.
func (s *Store) SpendCode(ctx context.Context, request, code []byte, begin NewSession) (out Session, err error) {
	wrong := false
	err = s.wish(ctx, "SELECT * FROM sign_ins WHERE request = ? AND expires_at > ? AND tries < ?", request, codeTries, func(tx *Tx, r signInRow) error {
		out, wrong = Session{}, false
		if subtle.ConstantTimeCompare(r.Code, code) != 1 {
			wrong = true // and that is kept
			return tx.exec("UPDATE sign_ins SET tries = tries + 1 WHERE id = ?", r.ID)
		}
		out, err = tx.signIn(r, begin, "by the code in a mail")
		return err
	})
	if err == nil && wrong {
		err = ErrNotFound
	}
	if err != nil {
		return Session{}, fmt.Errorf("spend a code: %w", err)
	}
	return out, nil
}

// wish has a wish spent that is named by a secret and has had fewer tries;
// ErrNotFound if there is none.
// Strangers may name any: it is looked up first, apart from the transactions
// that mail waits for, too.
func (s *Store) wish(ctx context.Context, query string, secret []byte, tries int64, spend func(*Tx, signInRow) error) error {
	rows, err := read[signInRow](ctx, s, query, blob(secret), at(s.now()), tries)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return ErrNotFound
	}
	return s.Write(ctx, func(tx *Tx) error {
		rows, err := find[signInRow](tx, query+tx.s.dialect.forUpdate(), blob(secret), at(tx.now), tries)
		if err != nil {
			return err
		}
		if len(rows) == 0 { // meanwhile
			return ErrNotFound
		}
		return spend(tx, rows[0])
	})
}

// signIn spends a wish and begins the session.
func (tx *Tx) signIn(r signInRow, begin NewSession, how string) (Session, error) {
	n, err := tx.affect("DELETE FROM sign_ins WHERE id = ?", r.ID)
	if err != nil {
		return Session{}, err
	}
	if n == 0 { // somebody else was faster
		return Session{}, ErrNotFound
	}
	if err := tx.endOld(); err != nil {
		return Session{}, err
	}
	rows := []sessionRow{{
		Token: begin.Token, Addr: r.Addr, Agent: text(begin.Agent), At: at(tx.now), RenewedAt: at(tx.now), SeenAt: at(tx.now), ExpiresAt: at(tx.now.Add(SessionMost)),
	}}
	row := &rows[0]
	if err := insert(tx, &rows); err != nil {
		return Session{}, err
	}
	return row.session(tx.now), tx.AddEvent(Event{Actor: string(r.Addr), What: "signed in", Reason: how})
}

// endOld deletes what is good no more.
func (tx *Tx) endOld() error {
	return errors.Join(
		tx.exec("DELETE FROM sign_ins WHERE expires_at <= ?", at(tx.now)),
		tx.exec("DELETE FROM sessions WHERE expires_at <= ?", at(tx.now)),
		tx.exec("DELETE FROM sessions WHERE seen_at <= ?", at(tx.now.Add(-SessionIdle))),
	)
}

// SessionOf gives the session of a cookie by the SHA-256 of its value;
// ErrNotFound if there is none, or none any more.
func (s *Store) SessionOf(ctx context.Context, token []byte) (Session, error) {
	now := s.now()
	rows, err := read[sessionRow](ctx, s, "SELECT * FROM sessions WHERE token = ?", blob(token))
	if err == nil && len(rows) == 0 {
		rows, err = read[sessionRow](ctx, s, "SELECT * FROM sessions WHERE previous = ? AND previous_until > ?", blob(token), at(now))
		for i := range rows {
			rows[i].RenewedAt = at(now) // the cookie that is its successor is on its way
		}
	}
	if err != nil {
		return Session{}, fmt.Errorf("look up a session: %w", err)
	}
	if len(rows) == 0 || !now.Before(rows[0].ExpiresAt.time()) || now.Sub(rows[0].SeenAt.time()) >= SessionIdle {
		return Session{}, fmt.Errorf("look up a session: %w", ErrNotFound)
	}
	return rows[0].session(now), nil
}

// SeeSession notes that a session is in use. With the hash of another value for
// its cookie it says whether that one is good from now on: of several who come
// with the old one at once, one is first.
func (s *Store) SeeSession(ctx context.Context, id int64, renewed []byte) (taken bool, err error) {
	err = s.Write(ctx, func(tx *Tx) error {
		taken = false
		if err := tx.exec("UPDATE sessions SET seen_at = ? WHERE id = ?", at(tx.now), id); err != nil || renewed == nil {
			return err
		}
		n, err := tx.affect("UPDATE sessions SET previous = token, previous_until = ?, token = ?, renewed_at = ? WHERE id = ? AND renewed_at <= ?",
			at(tx.now.Add(sessionBoth)), blob(renewed), at(tx.now), id, at(tx.now.Add(-sessionNew)))
		taken = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("note the use of a session: %w", err)
	}
	return taken, nil
}

// Sessions gives all that is signed in under an address, the newest first.
func (s *Store) Sessions(ctx context.Context, addr string) ([]Session, error) {
	now := s.now()
	rows, err := read[sessionRow](ctx, s, "SELECT * FROM sessions WHERE addr = ? ORDER BY id DESC LIMIT ?", short(addr), mostListed)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	var out []Session
	for _, r := range rows {
		if now.Before(r.ExpiresAt.time()) && now.Sub(r.SeenAt.time()) < SessionIdle {
			out = append(out, r.session(now))
		}
	}
	return out, nil
}

// EndSession ends a session of somebody's own; ErrNotFound if there is none.
func (s *Store) EndSession(ctx context.Context, addr string, id int64) error {
	err := s.Write(ctx, func(tx *Tx) error {
		n, err := tx.affect("DELETE FROM sessions WHERE id = ? AND addr = ?", id, short(addr))
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("end session %d: %w", id, err)
	}
	return nil
}

// HasPart says whether one of these addresses has opened a ticket or takes part
// in one.
func (s *Store) HasPart(ctx context.Context, addrs []string) (bool, error) {
	type row struct{ Number int64 }
	asked := make([]short, len(addrs))
	for i, a := range addrs {
		asked[i] = short(a)
	}
	// In one question: two for some and one for others could be told apart (T40).
	rows, err := read[row](ctx, s, "SELECT coalesce((SELECT number FROM tickets WHERE requester IN ? LIMIT 1), 0) + "+
		"coalesce((SELECT ticket FROM participants WHERE addr IN ? LIMIT 1), 0) AS number", asked, asked)
	if err != nil {
		return false, fmt.Errorf("look for tickets of a person: %w", err)
	}
	return rows[0].Number > 0, nil
}
