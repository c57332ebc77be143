package desk

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"deskd/store/storetest"
	"deskd/triage"
)

// world is a desk among partners that answer what it sends. Mail takes half a
// minute; nobody waits while there is none.
type world struct {
	t        *testing.T
	clock    *clock
	desks    map[string]*office                 // by support address
	partners map[string]func(p posted) []string // recipient → mails that follow on one to it
	sent     map[string][]time.Time             // automatic answers of any desk, by recipient
	all      map[string]int                     // every mail of any desk, by recipient
	serial   int
}

// id is a Message-ID that no mail had yet.
func (w *world) id() string {
	w.serial++
	return fmt.Sprintf("Message-ID: <loop%d@client.example>", w.serial)
}

// ask is one request a day of somebody.
func (w *world) ask(from string) func(day int) []string {
	return func(day int) []string {
		return []string{vouched(letter(from, fmt.Sprintf("the scanner, day %d", day), "It hums.", w.id()))}
	}
}

const transit = 30 * time.Second

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, clock: &clock{at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}, desks: map[string]*office{},
		partners: map[string]func(posted) []string{}, sent: map[string][]time.Time{}, all: map[string]int{},
	}
	w.add(support)
	return w
}

// add opens a desk; the mail of its technicians is theirs alone.
func (w *world) add(address string, changes ...func(*setup)) *office {
	o := open(w.t, storetest.SQLite(w.t), append([]func(*setup){quiet, func(s *setup) {
		s.desk.Now = w.clock.now
		if address != support {
			s.policy.Mailboxes = []triage.Mailbox{{Address: address}}
			s.policy.Secret = []byte(strings.Repeat("o", 32))
			s.policy.Teams = []triage.Team{{Name: triage.Helpdesk, Roster: []string{"olga@other.example"}}}
			s.policy.Rules = nil
		}
	}}, changes...)...)
	o.clock, o.box = w.clock, address
	w.desks[address] = o
	return o
}

// run lets 30 days pass. Each day begins with the given mails to desks; a mail
// goes to the desk that its To names.
func (w *world) run(daily func(day int) []string) {
	for day := range 30 {
		morning := w.clock.now()
		queue := daily(day)
		for hops := 0; len(queue) > 0; hops++ {
			if hops > 24*120 {
				w.t.Fatalf("day %d never ends", day)
			}
			now := queue
			queue = nil
			for _, o := range w.desks {
				var mine []string
				for _, raw := range now {
					if w.goesTo(raw) == o {
						mine = append(mine, raw)
					}
				}
				if len(mine) > 0 {
					o.deliver(mine...)
				}
			}
			for _, o := range w.desks {
				for _, p := range o.post() {
					w.all[p.Recipient]++
					if p.Automatic {
						w.sent[p.Recipient] = append(w.sent[p.Recipient], w.clock.now())
					}
					if answer := w.partners[p.Recipient]; answer != nil {
						queue = append(queue, answer(p)...)
					} else if w.desks[p.Recipient] != nil {
						queue = append(queue, arriving(p, p.Recipient))
					}
				}
			}
			w.clock.add(transit)
			if w.clock.now().Sub(morning) > 23*time.Hour {
				break
			}
		}
		if left := 24*time.Hour - w.clock.now().Sub(morning); left > 0 {
			w.clock.add(left)
		}
	}
}

// arriving is a desk's mail as the other desk's server delivers it.
func arriving(p posted, to string) string {
	return vouched("Return-Path: <" + p.Row.From + ">\r\nDelivered-To: " + to + "\r\n" + string(p.Row.Body))
}

// goesTo is the desk that a mail is delivered to.
func (w *world) goesTo(raw string) *office {
	for address, o := range w.desks {
		if address != support && strings.Contains(raw, "Delivered-To: "+address+"\r\n") {
			return o
		}
	}
	return w.desks[support]
}

// limits holds the automatic answers to one address against T17.
func (w *world) limits(addr string) {
	w.t.Helper()
	times := w.sent[addr]
	for i := range times {
		hour := len(times[i:])
		if j := slices.IndexFunc(times[i:], func(at time.Time) bool { return at.Sub(times[i]) >= time.Hour }); j >= 0 {
			hour = j
		}
		day := len(times[i:])
		if j := slices.IndexFunc(times[i:], func(at time.Time) bool { return at.Sub(times[i]) >= 24*time.Hour }); j >= 0 {
			day = j
		}
		if hour > 10 || day > 30 {
			w.t.Fatalf("%d automatic answers to %s within an hour, %d within a day", hour, addr, day)
		}
	}
}

func TestT17_LoopsEndWithin30Days(t *testing.T) {
	t.Parallel()
	reference := func(p posted) string { return "In-Reply-To: <" + p.Row.MessageID + ">" }

	t.Run("another desk of our own kind", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		const other = "support@other.example"
		w.add(other)
		w.run(func(day int) []string {
			// Somebody wrote to us under the other desk's address.
			return []string{vouched(letter(other, fmt.Sprintf("the scanner, day %d", day), "It hums.", w.id()))}
		})
		if a, b := len(w.sent[support]), len(w.sent[other]); a+b > 2*30 {
			t.Errorf("%d and %d automatic mails between two desks in 30 days, want 2 a day at most", a, b)
		}
	})
	t.Run("a vacation that says what it is", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.partners[ann] = func(p posted) []string {
			return []string{vouched(letter(ann, "Out of office: "+p.Row.Subject, "I am away.", w.id(), reference(p), "Auto-Submitted: auto-replied"))}
		}
		w.run(w.ask(ann))
		if n := len(w.sent[ann]); n != 30 {
			t.Errorf("%d automatic mails for 30 requests, want one each", n)
		}
		if n := len(w.desks[support].tickets()); n != 30 {
			t.Errorf("%d tickets", n)
		}
	})
	t.Run("a vacation without any mark that quotes the subject", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.partners[ann] = func(p posted) []string {
			return []string{vouched(letter(ann, "Re: "+p.Row.Subject, "I have your mail and read it soon.", w.id()))}
		}
		w.run(w.ask(ann))
		w.limits(ann)
		if n := len(w.sent[ann]); n != 30 {
			t.Errorf("%d automatic mails for 30 requests, want one each", n)
		}
	})
	t.Run("a responder that strips everything", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.partners[bob] = func(p posted) []string {
			return []string{letter(bob, fmt.Sprintf("case %d opened", w.serial), fmt.Sprintf("We have your request as case %d.", w.serial), w.id())}
		}
		w.run(func(day int) []string {
			return []string{letter(bob, fmt.Sprintf("request of day %d", day), "It hums.", w.id())}
		})
		w.limits(bob)
		if n := w.all[helpList]; n > 30*24*20 {
			t.Errorf("%d notices to the team", n)
		}
	})
	t.Run("a server that bounces all, and bounces the bounces", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.partners[ann] = func(p posted) []string {
			report := "--b\nContent-Type: text/plain\n\nNo such user.\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; " +
				ann + "\nAction: failed\nStatus: 5.1.1\n--b\nContent-Type: message/rfc822\n\nMessage-ID: <" + p.Row.MessageID + ">\nSubject: x\n\nx\n--b--"
			return []string{
				letter("MAILER-DAEMON@mx.example.net", "Undelivered Mail Returned to Sender", report, w.id(), `Content-Type: multipart/report; report-type=delivery-status; boundary="b"`, "Return-Path: <>"),
				letter("MAILER-DAEMON@mx.example.net", "failure notice", "Hi. This is the qmail-send program. I was not able to deliver your message.\n\n<"+ann+">:\nuser unknown\n", w.id()),
			}
		}
		w.run(w.ask(ann))
		if n := len(w.sent[ann]); n != 30 {
			t.Errorf("%d automatic mails for 30 requests, want one each", n)
		}
		if n := w.all["mailer-daemon@mx.example.net"]; n != 0 {
			t.Errorf("%d mails to the mailer daemon", n)
		}
	})
	t.Run("a team's list that has the desk on it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.partners[helpList] = func(p posted) []string {
			raw := string(p.Row.Body)
			return []string{
				"List-Id: <helpdesk-team.example.org>\r\nReturn-Path: <bounces@example.org>\r\nDelivered-To: " + support + "\r\n" + raw,
				// … and one that takes off what it knows from elsewhere.
				"Delivered-To: " + support + "\r\n" + strings.NewReplacer("X-Deskd-Loop", "X-Old-Loop", "Auto-Submitted", "X-Old-Auto", "Precedence", "X-Old-Precedence", "From: ", "From: ").Replace(raw),
			}
		}
		w.run(w.ask(ann))
		if n := len(w.desks[support].tickets()); n != 30 {
			t.Errorf("%d tickets of 30 requests", n)
		}
		if n := w.all[helpList]; n != 30 {
			t.Errorf("%d notices of 30 requests", n)
		}
	})
	t.Run("an alias of our own as the requester", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.run(w.ask(alias))
		if n := w.all[alias] + w.all[support]; n != 0 {
			t.Errorf("%d mails to ourselves", n)
		}
	})
	t.Run("two technicians who are away", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		for _, who := range []string{tina, tom} {
			w.partners[who] = func(p posted) []string {
				return []string{vouched(letter(who, "Re: "+p.Row.Subject, "I am at a conference; I read this when I am back.", w.id(), reference(p)))}
			}
		}
		w.run(func(day int) []string {
			n := 1001 + day
			return []string{
				vouched(letter(ann, fmt.Sprintf("the scanner, day %d", day), "It hums.", w.id())),
				vouched(letter(tom, fmt.Sprintf("Re: [IT-%d] the scanner", n), "assign tina", w.id())),
			}
		})
		if n := w.all[tina] + w.all[tom]; n > 30*3 {
			t.Errorf("%d mails to two technicians who are away", n)
		}
		w.limits(tina)
		w.limits(tom)
	})
}
