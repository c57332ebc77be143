package triage

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"strings"

	"deskd/triage/ticket"
)

// Signer makes and checks what deskd signs: Message-IDs and loop marks. Each
// use has a key of its own, derived from the one secret, so that a MAC made
// for one purpose is worth nothing for another.
type Signer struct {
	id, loop, address []byte
}

// NewSigner derives the signing keys from the desk's secret, which should be
// 32 random bytes or more.
func NewSigner(secret []byte) *Signer {
	return &Signer{
		id:      derive(secret, "deskd message-id 1"),
		loop:    derive(secret, "deskd loop mark 1"),
		address: derive(secret, "deskd address token 1"),
	}
}

// derive makes the key for one purpose (HMAC as a pseudo-random function, as
// in RFC 5869, section 2.3, for one block).
func derive(secret []byte, purpose string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(purpose))
	return h.Sum(nil)
}

var tokenCoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// mac is the first 80 bits of an HMAC over the parts, as 16 characters: short
// enough for a header line, and online guessing against 2^80 is hopeless.
func mac(key []byte, parts ...string) string {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write([]byte{byte(len(p) >> 8), byte(len(p))})
		h.Write([]byte(p))
	}
	return tokenCoding.EncodeToString(h.Sum(nil)[:10])
}

// MessageID gives the Message-ID, without angle brackets, of the mail with
// this outbox key: deskd.NUMBER.TICKET.NONCE.MAC@host. TICKET and NONCE hang
// on the ticket's random key, so that a database restored from a backup, which
// counts the same numbers again, never repeats an id, and an id of the lost
// ticket does not lead to the new one with its number (F21).
func (s *Signer) MessageID(n ticket.Number, ticketKey []byte, outboxKey, host string) string {
	tag := s.ticketTag(ticketKey)
	nonce := mac(s.id, "nonce", string(ticketKey), outboxKey)
	return "deskd." + n.String() + "." + tag + "." + nonce + "." + mac(s.id, "id", n.String(), tag, nonce) + "@" + host
}

// VerifyMessageID gives the ticket number that a Message-ID of ours speaks of.
// The id must be whole and its MAC right; the host is not looked at, since it
// may change over the years. The id routes a mail; it gives no right (T6).
func (s *Signer) VerifyMessageID(id string) (ticket.Number, bool) {
	p, ok := idParts(id)
	if !ok {
		return 0, false
	}
	n, err := ticket.ParseNumber(p[1])
	if err != nil || n.String() != p[1] {
		return 0, false
	}
	return n, equal(mac(s.id, "id", p[1], p[2], p[3]), p[4])
}

// MessageIDOf says whether a verified Message-ID was made for the ticket with
// this random key.
func (s *Signer) MessageIDOf(id string, ticketKey []byte) bool {
	p, ok := idParts(id)
	return ok && len(ticketKey) > 0 && equal(s.ticketTag(ticketKey), p[2])
}

func idParts(id string) ([]string, bool) {
	local, _, ok := strings.Cut(id, "@")
	if !ok || len(local) > 128 {
		return nil, false
	}
	p := strings.Split(local, ".")
	return p, len(p) == 5 && p[0] == "deskd"
}

// ticketTag is a short name for a ticket's random key, which it does not give
// away.
func (s *Signer) ticketTag(ticketKey []byte) string {
	return mac(s.id, "ticket", string(ticketKey))[:8]
}

// AddressToken gives the detail of a sub-address, support+TOKEN@…, that leads
// answers to a ticket: NUMBER.TICKET.MAC. Like every reference it routes and
// gives no right.
func (s *Signer) AddressToken(n ticket.Number, ticketKey []byte) string {
	tag := s.ticketTag(ticketKey)
	return n.String() + "." + tag + "." + mac(s.address, n.String(), tag)
}

// VerifyAddressToken gives the ticket number of a token of ours.
func (s *Signer) VerifyAddressToken(token string) (ticket.Number, bool) {
	p := strings.Split(token, ".")
	if len(token) > 64 || len(p) != 3 {
		return 0, false
	}
	n, err := ticket.ParseNumber(p[0])
	if err != nil || n.String() != p[0] {
		return 0, false
	}
	return n, equal(mac(s.address, p[0], p[1]), p[2])
}

// TokenOf says whether a verified token was made for the ticket with this
// random key.
func (s *Signer) TokenOf(token string, ticketKey []byte) bool {
	p := strings.Split(token, ".")
	return len(p) == 3 && len(ticketKey) > 0 && equal(s.ticketTag(ticketKey), p[1])
}

// equal compares in constant time.
func equal(want, got string) bool {
	return subtle.ConstantTimeCompare([]byte(want), []byte(got)) == 1
}

// LoopMark gives the value of the X-Deskd-Loop field for the mail with this
// Message-ID: with it the desk knows its own mail when it comes back (T17).
func (s *Signer) LoopMark(messageID string) string { return mac(s.loop, messageID) }

// VerifyLoopMark says whether the mark was made by this desk for that id.
func (s *Signer) VerifyLoopMark(mark, messageID string) bool {
	return equal(s.LoopMark(messageID), strings.TrimSpace(mark))
}

// LoopField is the name of the header field that holds the loop mark.
const LoopField = "X-Deskd-Loop"
