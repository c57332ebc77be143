package desk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"deskd/mailin"
	"deskd/mailout"
	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// staleMail is the age beyond which a mail gets no acknowledgement: after a
// first start or a long outage nobody wants them (F18).
const staleMail = 24 * time.Hour

// tell writes the mails that follow from the decision into the outbox.
func (w *work) tell() error {
	for _, t := range w.dec.Tell {
		var err error
		switch t {
		case triage.Acknowledge:
			err = w.acknowledge()
		case triage.NotifyTeam:
			err = w.notifyTeam()
		case triage.SendReply:
			err = w.toRequester(mailout.Reply, "reply")
		case triage.TellStatus:
			err = w.toRequester(mailout.StatusNotice, "status")
		case triage.TellAnswer:
			err = w.tellAnswer()
		case triage.TellNote:
			if !w.rules.Works(w.t.Assignee) { // T11
				w.held = append(w.held, "no note to "+w.t.Assignee+", who works here no more")
				continue
			}
			err = w.toTechnician(mailout.NoteNotice, "note", w.t.Assignee)
		case triage.TellAssign:
			err = w.toTechnician(mailout.AssignNotice, "assigned", w.t.Assignee)
		case triage.TellTaken:
			err = w.tellTaken()
		case triage.TellMerge:
			err = w.tellMerge()
		case triage.AnswerQuery:
			err = w.answerQuery()
		case triage.AskSender:
			err = w.challenge()
		case triage.TellMove:
			err = w.tellMove()
		case triage.AnswerError:
			err = w.answerError()
		case triage.Transcribe:
			err = w.transcribe()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
	}
	return nil
}

// occasion is what all mails about the ticket have in common.
func (w *work) occasion(kind mailout.Kind, key string) mailout.Occasion {
	o := mailout.Occasion{
		Kind: kind, Key: key, At: w.now().UTC(), From: w.from(),
		Actor: triage.Address{Name: w.dec.Sender.Name, Addr: w.dec.Sender.Address}, Text: w.text,
		Authenticated: w.dec.Sender.Authenticated,
	}
	if t := w.t; t != nil {
		o.Ticket = mailout.TicketView{
			Number: t.Number, Subject: t.Subject, Status: t.Status, Priority: t.Priority, Team: t.Team,
			Assignee: t.Assignee, Requester: triage.Address{Name: t.RequesterName, Addr: t.Requester},
			CreatedAt: t.CreatedAt, DueAt: t.DueAt, Key: t.Key,
		}
		o.Reasons = t.Reasons
	}
	if n := len(w.dec.Changes); n > 0 && w.dec.Changes[0].Before != w.dec.Changes[n-1].After {
		o.Before, o.After = w.dec.Changes[0].Before.Label(), w.dec.Changes[n-1].After.Label()
	}
	return o
}

// Outbox keys. The two first mails about a ticket have a key that can be made
// again later, so that what follows can refer to their Message-IDs.
func ackKey(n ticket.Number) string    { return "ticket:" + n.String() + "/acknowledgement" }
func noticeKey(n ticket.Number) string { return "ticket:" + n.String() + "/notice" }

func (w *work) key(what string) string {
	if w.number != "" {
		what = w.number + "/" + what
	}
	if w.once != "" {
		return "set:" + w.once + "/" + what
	}
	return fmt.Sprintf("intake:%d/%s", w.in.ID, what)
}

// from is the support address that mails about this one come from.
func (w *work) from() string {
	if w.t != nil {
		return w.t.Mailbox
	}
	return w.m.Box.Mailbox
}

// thread is the Message-ID of the ticket's first mail on one side.
func (w *work) thread(key string) string {
	return w.rules.Signer().MessageID(w.t.Number, w.t.Key, key, w.o.Host)
}

// acknowledge tells the requester that we have the request.
func (w *work) acknowledge() error {
	to := triage.Address{Name: w.t.RequesterName, Addr: w.t.Requester}
	// T4: Reply-To names where an answer may go, and only a proven sender may
	// name it.
	own := strings.EqualFold(w.t.Requester, w.dec.Sender.Address) // not opened for somebody else
	if r := w.m.msg.ReplyTo; own && w.dec.Sender.Authenticated && len(r) == 1 && r[0].Addr != "" {
		to = r[0]
	}
	if !w.m.Arrived.IsZero() && w.now().Sub(w.m.Arrived) > staleMail {
		w.held = append(w.held, "no acknowledgement: the mail is older than a day")
		return nil
	}
	if !own && triage.NoReply(w.t.Requester) { // T16: nobody reads there
		return nil
	}
	o := w.occasion(mailout.Acknowledgement, ackKey(w.t.Number))
	if w.part != nil {
		o.Authenticated = w.part.Verified // whose words the subject is (T20)
	}
	o.To = []triage.Address{to}
	switch {
	case own:
		o.InReplyTo, o.References = w.m.msg.MessageID, w.m.msg.References
	case w.part != nil:
		o.InReplyTo = w.part.MessageID
	}
	return w.answer(o, to.Addr)
}

// answerError tells a technician why nothing was changed.
func (w *work) answerError() error {
	o := w.occasion(mailout.CommandError, w.key("error"))
	o.Errors = w.dec.Errors
	o.To = []triage.Address{{Name: w.dec.Sender.Name, Addr: w.dec.Sender.Address}}
	o.InReplyTo, o.References = w.m.msg.MessageID, w.m.msg.References
	return w.answer(o, w.dec.Sender.Address)
}

// answer enqueues an answer that no person wrote, unless a limit holds it
// back (T17).
func (w *work) answer(o mailout.Occasion, to string) error {
	to = strings.ToLower(to)
	why, err := w.overLimit(to, o.Kind)
	if err != nil {
		return err
	}
	if why != "" {
		w.held = append(w.held, "no "+string(o.Kind)+" to "+to+": "+why)
		return nil
	}
	sent, err := w.enqueue(o, true, to)
	if sent {
		w.k.answers.add(to, w.now())
	}
	return err
}

// overLimit says which limit an automatic answer to the address would break.
// A challenge has a pause of its own, which is longer. What was wrong with the
// commands of a proven technician is told in any case: the limits are for
// acknowledgements, challenges and transcripts, and what others have used up
// of them must not make anybody believe that a command was obeyed.
func (w *work) overLimit(to string, kind mailout.Kind) (string, error) {
	if kind == mailout.CommandError && w.dec.Sender.Authenticated {
		return "", nil
	}
	l, now := w.o.Answers, w.now()
	a := w.k.answers
	got, ok := a.to[to]
	if !ok { // an address that was not to be expected
		found, err := w.tx.AutoSentTo([]string{to}, now.Add(-time.Hour), now.Add(-24*time.Hour))
		if err != nil {
			return "", err
		}
		got = found[to]
		a.to[to] = got
	}
	switch {
	case got.Recent >= l.Hour:
		return fmt.Sprintf("%d automatic answers within an hour are the limit", l.Hour), nil
	case got.All >= l.Day:
		return fmt.Sprintf("%d automatic answers within a day are the limit", l.Day), nil
	case a.overall >= l.Overall:
		return fmt.Sprintf("%d automatic answers to all within an hour are the limit", l.Overall), nil
	case kind != mailout.Challenge && !w.dec.Sender.Authenticated && got.Recent > 0 && now.Sub(got.Last) < l.Unproved:
		return fmt.Sprintf("one automatic answer in %v is the limit for a sender that nobody vouched for", l.Unproved), nil
	}
	return "", nil
}

// answers are the automatic answers of the last day, as far as the mails at
// hand may add to them. They are counted once for a batch and kept up to date
// while it is handled.
type answers struct {
	to      map[string]store.AutoSent // by address in lower case
	overall int                       // to everybody, within the last hour
}

// answersTo counts the answers to everybody whom these mails may cause one to.
func (d *Desk) answersTo(tx *store.Tx, mails []*mail) (*answers, error) {
	var addrs []string
	for _, m := range mails {
		for _, a := range append([]triage.Address{m.msg.From}, m.msg.ReplyTo...) {
			if a.Addr != "" {
				addrs = append(addrs, strings.ToLower(a.Addr))
			}
			if len(m.msg.ReplyTo) > 1 {
				break // no answer goes to one of several
			}
		}
	}
	now := d.now()
	a := &answers{to: map[string]store.AutoSent{}}
	if len(addrs) == 0 {
		return a, nil
	}
	var err error
	if a.to, err = tx.AutoSentTo(addrs, now.Add(-time.Hour), now.Add(-24*time.Hour)); err != nil {
		return nil, err
	}
	a.overall, _, err = tx.AutoSent("", now.Add(-time.Hour))
	return a, err
}

// add counts one more answer.
func (a *answers) add(to string, now time.Time) {
	n := a.to[to]
	n.Recent, n.All, n.Last = n.Recent+1, n.All+1, now
	a.to[to], a.overall = n, a.overall+1
}

// notifyTeam tells the ticket's team about it.
func (w *work) notifyTeam() error {
	o := w.occasion(mailout.TeamNotice, noticeKey(w.t.Number))
	o.Notes, o.Text = w.dec.Notes, w.inside()
	if w.part != nil {
		o.Actor, o.Authenticated = triage.Address{Name: w.part.AuthorName, Addr: w.part.Author}, w.part.Verified
		o.Text, o.AttachmentNames = w.part.Text, names(w.part)
		return w.toTeam(o)
	}
	if w.dec.Open != nil {
		if silent, err := w.openingsSurge(&o); err != nil || silent {
			return err
		}
	}
	if err := w.attach(&o); err != nil {
		return err
	}
	return w.toTeam(o)
}

// surge is how many mails of one sender technicians are told of within an
// hour: of new tickets, and of answers to one ticket. A person writes fewer;
// what writes more is a flood (T21), or a program that answers our notices
// without saying so (T17), and then only silence ends the loop.
const surge = 20

// surging says whether the n-th mail of a sender is one too many to tell of.
// The last one that is told of says so.
func (w *work) surging(o *mailout.Occasion, n int) bool {
	switch {
	case n > surge:
		w.held = append(w.held, fmt.Sprintf("no notice: more than %d mails of the sender within an hour", surge))
		return true
	case n == surge:
		o.Notes = append(slices.Clone(o.Notes), fmt.Sprintf("this is mail number %d of the sender within an hour; the next ones are kept and not announced", surge))
	}
	return false
}

// tellAnswer passes the requester's words on to the assignee, else the team.
func (w *work) tellAnswer() error {
	o := w.occasion(mailout.AnswerNotice, w.key("answer"))
	o.Notes = w.dec.Notes
	o.InReplyTo = w.thread(noticeKey(w.t.Number))
	o.References = []string{o.InReplyTo}
	if w.dec.Write != nil {
		if silent, err := w.answersSurge(&o); err != nil || silent {
			return err
		}
	}
	if err := w.attach(&o); err != nil {
		return err
	}
	if w.rules.Works(w.t.Assignee) && !w.rules.Own(w.t.Assignee) { // T11
		if w.mutedBy(w.t.Assignee) { // then somebody else must hear of it
			w.held = append(w.held, "no answer to "+w.t.Assignee+", who has muted the ticket")
			return w.toTeam(o)
		}
		o.To = []triage.Address{{Addr: w.t.Assignee}}
		_, err := w.enqueue(o, false, w.t.Assignee)
		return err
	}
	return w.toTeam(o)
}

// tellMove tells the team that has the ticket now.
func (w *work) tellMove() error {
	o := w.occasion(mailout.MoveNotice, w.key("moved"))
	o.Before, o.After = w.movedFrom, w.t.Team
	o.InReplyTo = w.thread(noticeKey(w.t.Number))
	o.References = []string{o.InReplyTo}
	return w.toTeam(o)
}

// transcribe tells a technician what the commands did, and who heard of it. A
// mail that says that the reply reached nobody says so of the rest.
func (w *work) transcribe() error {
	if w.replyLost {
		return nil
	}
	o := w.occasion(mailout.Transcript, w.key("transcript"))
	o.Effects, o.Told, o.Notes = w.dec.Effects, w.told, append(slices.Clone(w.held), w.warned...)
	o.To = []triage.Address{{Name: w.dec.Sender.Name, Addr: w.dec.Sender.Address}}
	o.InReplyTo, o.References = w.m.msg.MessageID, w.m.msg.References
	return w.answer(o, w.dec.Sender.Address)
}

// mutedBy says whether somebody wants to hear no more of the ticket.
func (w *work) mutedBy(addr string) bool {
	return w.k != nil && w.k.muted[w.t.Number][strings.ToLower(addr)]
}

// inside is what mails to technicians convey: also what is for them alone.
func (w *work) inside() string {
	if wr := w.dec.Write; wr != nil && wr.Aside != "" {
		return wr.Aside + "\n\n" + w.text
	}
	return w.text
}

// toTechnician passes something on to one technician.
func (w *work) toTechnician(kind mailout.Kind, what, addr string) error {
	if kind != mailout.AssignNotice && w.mutedBy(addr) {
		w.held = append(w.held, "no "+what+" to "+addr+", who has muted the ticket")
		return nil
	}
	o := w.occasion(kind, w.key(what))
	o.To, o.Notes, o.Text = []triage.Address{{Addr: addr}}, w.dec.Notes, w.inside()
	o.InReplyTo = w.thread(noticeKey(w.t.Number))
	o.References = []string{o.InReplyTo}
	if err := w.attach(&o); err != nil {
		return err
	}
	_, err := w.enqueue(o, false, addr)
	return err
}

// toRequester sends to the requester and, where a person speaks, to the
// participants.
func (w *work) toRequester(kind mailout.Kind, what string) error {
	if w.t.Requester == "" {
		w.held = append(w.held, "no "+what+" to the requester: the address is not known")
		if kind != mailout.Reply {
			return nil
		}
		return w.replyFailed("the requester's address is not known")
	}
	if kind == mailout.StatusNotice && strings.EqualFold(w.t.Requester, w.dec.Sender.Address) {
		return nil // who did it knows
	}
	o := w.occasion(kind, w.key(what))
	o.To = []triage.Address{{Name: w.t.RequesterName, Addr: w.t.Requester}}
	o.InReplyTo = w.thread(ackKey(w.t.Number))
	o.References = []string{o.InReplyTo}
	to := []string{w.t.Requester}
	if w.dec.Write == nil || w.dec.Write.Note {
		o.Text = "" // a work note is for technicians alone
	}
	if kind == mailout.Reply {
		for _, p := range w.k.participants[w.t.Number] {
			if !strings.EqualFold(p, w.dec.Sender.Address) {
				o.Cc = append(o.Cc, triage.Address{Addr: p})
				to = append(to, p)
			}
		}
		if err := w.attach(&o); err != nil {
			return err
		}
	}
	if kind == mailout.Reply {
		back, err := w.tx.Returned(w.t.Number)
		if err != nil {
			return err
		}
		for _, r := range back {
			if slices.ContainsFunc(to, func(a string) bool { return strings.EqualFold(a, r.Addr) }) {
				w.warned = append(w.warned, "an earlier mail did not reach "+r.Addr+": "+cmp.Or(r.Why, "no reason is given"))
			}
		}
	}
	sent, err := w.enqueue(o, false, to...)
	if err != nil || sent || kind != mailout.Reply {
		return err
	}
	return w.replyFailed("no mail can be written to " + strings.Join(to, ", "))
}

// replyFailed tells a technician that a reply reached nobody. No limit holds
// it back: else the technician believes that the requester has been told.
func (w *work) replyFailed(why string) error {
	o := w.occasion(mailout.ReplyFailed, w.key("reply-failed"))
	o.Errors = []triage.CommandError{{Line: "reply", Why: why, Valid: "reach them another way, for example by telephone"}}
	o.To = []triage.Address{{Name: w.dec.Sender.Name, Addr: w.dec.Sender.Address}}
	o.InReplyTo, o.References = w.m.msg.MessageID, w.m.msg.References
	w.replyLost = true
	_, err := w.enqueue(o, true, w.dec.Sender.Address)
	return err
}

// toTeam sends to the team's distribution list, or to each of its technicians
// where it has none.
func (w *work) toTeam(o mailout.Occasion) error {
	team, known := w.rules.Team(w.t.Team)
	if !known { // renamed or given up: somebody must hear of it
		o.Notes = append(slices.Clone(o.Notes), "the team "+w.t.Team+" is not in the settings any more")
		team, _ = w.rules.Team(w.rules.DefaultTeam())
	}
	to := []string{team.List}
	if team.List == "" {
		// Each by name: who did it knows, and some want to hear no more.
		to = slices.DeleteFunc(slices.Clone(team.Roster), func(a string) bool {
			return o.Actor.Addr != "" && strings.EqualFold(a, o.Actor.Addr) || w.mutedBy(a)
		})
		if len(to) == 0 && len(team.Roster) > 0 {
			w.held = append(w.held, "no notice: nobody of the team "+w.t.Team+" is left who wants to hear of it")
			return nil
		}
	}
	for _, a := range to {
		o.To = append(o.To, triage.Address{Addr: a})
	}
	if len(to) == 0 {
		w.held = append(w.held, "no notice: the team "+w.t.Team+" has neither a list nor technicians in the settings")
		return nil
	}
	_, err := w.enqueue(o, false, to...)
	return err
}

// attach adds the mail's files while they are small enough in all, else only
// their names.
func (w *work) attach(o *mailout.Occasion) error {
	files := w.m.msg.Attachments
	var total int64
	for _, a := range files {
		total += a.Size
	}
	if w.m.msg.Unreadable && int64(len(w.m.Raw)) <= w.o.NoticeBytes && o.Kind != mailout.Reply {
		o.Attachments = append(o.Attachments, mailout.Attachment{Name: "original-mail.txt", Type: "application/octet-stream", Data: w.m.Raw})
	}
	if total > w.o.NoticeBytes {
		for _, a := range files {
			o.AttachmentNames = append(o.AttachmentNames, a.Name)
		}
		return nil
	}
	for _, a := range files {
		data, _, err := mailin.Attachment(w.m.Raw, w.o.Limits, a.Part)
		if err != nil {
			w.log.Warn("attachment not sent along", "intake", w.in.ID, "reason", a.Part, "err", err)
			o.AttachmentNames = append(o.AttachmentNames, a.Name)
			continue
		}
		o.Attachments = append(o.Attachments, mailout.Attachment{Name: a.Name, Type: a.Type, Data: data})
	}
	return nil
}

// enqueue renders a mail and puts it into the outbox, one row a recipient.
// Nothing goes to addresses of ours (T18), nor to those that no mail can be
// written to, as foreign mail sometimes has them. It tells whether anybody
// remained.
//
// Those whose address needs SMTPUTF8 get a copy of their own: it stands in the
// header too, and would make a server without it refuse all the others (F32).
func (w *work) enqueue(o mailout.Occasion, answer bool, to ...string) (bool, error) {
	i := slices.IndexFunc(to, wide)
	if i < 0 || !slices.ContainsFunc(to, func(a string) bool { return !wide(a) }) {
		return w.enqueueOne(o, answer, to...)
	}
	plain, theirs := o, o
	plain.To = slices.DeleteFunc(slices.Clone(o.To), func(a triage.Address) bool { return wide(a.Addr) })
	plain.Cc = slices.DeleteFunc(slices.Clone(o.Cc), func(a triage.Address) bool { return wide(a.Addr) })
	if len(plain.To) == 0 {
		plain.To, plain.Cc = plain.Cc, nil
	}
	sent, err := w.enqueueOne(plain, answer, slices.DeleteFunc(slices.Clone(to), wide)...)
	if err != nil {
		return sent, err
	}
	theirs.Key += "/utf8"
	also, err := w.enqueueOne(theirs, answer, slices.DeleteFunc(slices.Clone(to), func(a string) bool { return !wide(a) })...)
	return sent || also, err
}

// wide says whether an address goes beyond ASCII (RFC 6531).
func wide(addr string) bool {
	return strings.IndexFunc(addr, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0
}

func (w *work) enqueueOne(o mailout.Occasion, answer bool, to ...string) (bool, error) {
	o = w.sendable(o, w.own)
	to = w.fit(to, w.own)
	if len(to) == 0 {
		return false, nil
	}
	c, err := w.o.Mailer.Compose(o)
	if err != nil {
		o = w.sendable(o, w.unwritable)
		if to = w.fit(to, w.unwritable); len(to) == 0 {
			return false, nil
		}
		if c, err = w.o.Mailer.Compose(o); err != nil {
			return false, fmt.Errorf("compose: %w", err)
		}
	}
	now := w.now()
	giveUp := now.Add(mailout.GiveUpAfter)
	if answer {
		giveUp = now.Add(mailout.GiveUpAnswerAfter)
	}
	var about ticket.Number
	if w.t != nil {
		about = w.t.Number
	}
	if err := w.tx.Enqueue(store.Outgoing{
		Key: o.Key, Ticket: about, Recipients: to, From: w.from(), MessageID: c.MessageID, Kind: string(o.Kind),
		Automatic: answer, Body: c.Bytes, Intake: w.in.ID, GiveUp: giveUp, Subject: c.Subject,
	}); err != nil {
		return false, err
	}
	if about == 0 && len(w.dec.Batch) > 0 {
		about = w.dec.Batch[0].Ticket // where an answer to it leads
	}
	if about != 0 {
		if err := w.tx.KnowIDs(about, []string{c.MessageID}, "out"); err != nil {
			return false, err
		}
		if w.k != nil {
			w.k.learn(c.MessageID, about)
		}
	}
	for _, a := range to {
		w.told = append(w.told, a+" ("+strings.ReplaceAll(string(o.Kind), "-", " ")+")")
	}
	return true, nil
}

// own says why nothing is sent to one of our addresses.
func (w *work) own(addr string) string {
	if w.rules.Own(addr) {
		return "nothing is sent to " + addr + ", which is an address of the desk itself"
	}
	return ""
}

// unwritable says why no mail can be written to an address.
func (w *work) unwritable(addr string) string {
	_, err := w.o.Mailer.Compose(mailout.Occasion{
		Kind: mailout.StatusNotice, Key: w.key("probe"), At: w.now().UTC(), From: w.from(), To: []triage.Address{{Addr: addr}},
	})
	if err == nil {
		return ""
	}
	return "nothing can be sent to " + brief(addr) + ", which is no address that mail servers take"
}

// fit gives the recipients, in lower case, that nothing speaks against, and
// notes what does.
func (w *work) fit(to []string, against func(addr string) string) []string {
	var fit []string
	for _, a := range to {
		a = strings.ToLower(a)
		if why := against(a); why != "" {
			w.held = append(w.held, why)
			continue
		}
		fit = append(fit, a)
	}
	return fit
}

// sendable takes such recipients off the header, too.
func (w *work) sendable(o mailout.Occasion, against func(addr string) string) mailout.Occasion {
	unfit := func(a triage.Address) bool { return against(a.Addr) != "" }
	o.To = slices.DeleteFunc(slices.Clone(o.To), unfit)
	o.Cc = slices.DeleteFunc(slices.Clone(o.Cc), unfit)
	if len(o.To) == 0 {
		o.To, o.Cc = o.Cc, nil
	}
	return o
}
