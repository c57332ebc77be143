package mailout

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"deskd/triage"
	"deskd/triage/ticket"
)

// Delimiter is the line at the top of every mail to technicians: what is
// below it in an answer is not read. The quote cutter of triage knows it.
const Delimiter = triage.Delimiter

// form is how a kind of mail looks from outside.
type form struct {
	auto   string // value of Auto-Submitted (RFC 3834, section 5); empty: a person's mail
	bulk   bool   // a notice: Precedence: bulk
	public bool   // goes to the requester: no delimiter, no links, nothing internal
}

var forms = map[Kind]form{
	Acknowledgement: {auto: "auto-replied", public: true},
	TeamNotice:      {auto: "auto-generated", bulk: true},
	Reply:           {public: true},
	StatusNotice:    {auto: "auto-generated", bulk: true, public: true},
	AnswerNotice:    {auto: "auto-generated", bulk: true},
	CommandError:    {auto: "auto-replied"},
	ReplyFailed:     {auto: "auto-replied"},
	NoteNotice:      {auto: "auto-generated", bulk: true},
	AssignNotice:    {auto: "auto-generated", bulk: true},
	MoveNotice:      {auto: "auto-generated", bulk: true},
	Transcript:      {auto: "auto-replied"},
	Answer:          {auto: "auto-replied"},
	Challenge:       {auto: "auto-replied"},
	DueNotice:       {auto: "auto-generated", bulk: true},
	MergeNotice:     {auto: "auto-generated", bulk: true, public: true},
	TakenNotice:     {auto: "auto-generated", bulk: true},
	Alert:           {auto: "auto-generated", public: true},
	RoundTrip:       {auto: "auto-generated", bulk: true, public: true},
	SignIn:          {auto: "auto-generated", public: true},
}

// Bounds of what goes into a mail.
const (
	maxSubject    = 200       // characters, with its tag
	maxName       = 80        // characters of a display name
	maxText       = 256 << 10 // bytes of conveyed text; the page has all of it
	maxFileName   = 150       // bytes
	maxReferences = 20
	maxID         = 250 // bytes of a foreign Message-ID
	maxLine       = 998 // bytes (RFC 5322, section 2.1.1)
)

// Compose writes one mail. The same Occasion gives the same bytes, whenever
// and wherever: Date is o.At, Message-ID and MIME boundary come from the
// outbox key and the ticket's key. An error means that the Occasion cannot be
// a mail: no recipient, a line end in a name. The result is taken apart again
// and compared with what was asked for before it is given out (T23).
func (m *Mailer) Compose(o Occasion) (Composed, error) {
	d, err := m.draft(o)
	if err != nil {
		return Composed{}, fmt.Errorf("compose %s: %w", o.Key, err)
	}
	b, err := d.render()
	if err == nil {
		err = d.compare(b)
	}
	if err != nil {
		return Composed{}, fmt.Errorf("compose %s: %w", o.Key, err)
	}
	return Composed{Bytes: b, MessageID: d.id, Subject: d.subject}, nil
}

// draft is a mail that is decided on but not yet coded.
type draft struct {
	id, subject string
	from        mail.Address
	to, cc      []mail.Address
	fields      []field // every other field that go-mail does not make by itself
	text, html  string  // the same mail in two forms, with LF line ends
	files       []Attachment
	boundary    string             // between the two forms
	outer       string             // between them and the files
	dkim        *gomail.DKIMSigner // nil: not signed
}

type field struct{ name, value string }

// draft turns an occasion into a draft, or says what is wrong with it.
func (m *Mailer) draft(o Occasion) (*draft, error) {
	f, ok := forms[o.Kind]
	switch {
	case !ok:
		return nil, fmt.Errorf("%q is no kind of mail", o.Kind)
	case o.Key == "":
		return nil, errors.New("no outbox key")
	case o.At.IsZero():
		return nil, errors.New("no time")
	case len(o.To) == 0:
		return nil, errors.New("nobody to write to")
	}
	if err := fit(o.Ticket.Subject); err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	if o.Kind == Acknowledgement && !o.Authenticated {
		o = anonymous(o)
	}
	l := m.language(o)
	text, links, err := m.render(o, l)
	if err != nil {
		return nil, err
	}
	d := &draft{
		id:      m.id.Signer.MessageID(o.Ticket.Number, o.Ticket.Key, o.Key, m.id.Host),
		subject: m.subject(o, l),
		text:    text,
		html:    twin{links: links.known(), language: l.code, plain: f.auto == ""}.write(text),
	}
	sum := sha256.Sum256([]byte("boundary " + d.id)) // nobody can write it into a text before this mail exists
	d.boundary = "deskd-" + hex.EncodeToString(sum[:16])
	d.outer = "deskd-" + hex.EncodeToString(sum[16:])
	d.dkim = m.signer(o.At)

	if d.from, err = address(triage.Address{Name: m.id.Name, Addr: o.From}); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if d.to, err = addresses(o.To); err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	if d.cc, err = addresses(o.Cc); err != nil {
		return nil, fmt.Errorf("cc: %w", err)
	}
	d.fields = []field{
		{"Date", o.At.In(m.id.Location).Format("Mon, 02 Jan 2006 15:04:05 -0700")},
		{"Message-ID", "<" + d.id + ">"},
		{"Subject", d.subject},
		{triage.LoopField, m.id.Signer.LoopMark(d.id)},
	}
	if validID(o.InReplyTo) {
		d.fields = append(d.fields, field{"In-Reply-To", "<" + o.InReplyTo + ">"})
	}
	if refs := references(o.References, o.InReplyTo); refs != "" {
		d.fields = append(d.fields, field{"References", refs})
	}
	if f.auto != "" {
		d.fields = append(d.fields,
			field{"Auto-Submitted", f.auto},
			field{"X-Auto-Response-Suppress", "All"},
			field{"List-Id", "<" + m.id.ListID + ">"})
	}
	if f.bulk {
		d.fields = append(d.fields, field{"Precedence", "bulk"})
	}
	for _, v := range d.fields {
		if err := fit(v.value); err != nil {
			return nil, fmt.Errorf("%s: %w", v.name, err)
		}
	}
	for _, a := range o.Attachments {
		if err := fit(a.Name); err != nil {
			return nil, fmt.Errorf("attachment name: %w", err)
		}
		a.Name, a.Type = fileName(a.Name), fileType(a.Type)
		d.files = append(d.files, a)
	}
	return d, nil
}

// anonymous takes out of an occasion whatever its sender chose: somebody may
// have written under another person's address, and must not be able to send
// that person a text of his own through us (T20).
func anonymous(o Occasion) Occasion {
	t := o.Ticket
	t.Subject, t.Requester.Name = "", ""
	return Occasion{
		Kind: o.Kind, Key: o.Key, At: o.At, From: o.From,
		To: []triage.Address{{Addr: o.To[0].Addr}}, Ticket: t, InReplyTo: o.InReplyTo,
	}
}

// subject gives the subject with the one tag that is right.
func (m *Mailer) subject(o Occasion, l *language) string {
	s := m.bareSubject(o.Ticket, l)
	switch {
	case o.Kind == Acknowledgement && !o.Authenticated:
		s = l.say("We have your request")
	case o.Kind == Challenge:
		s = l.say("Was this you?")
	case o.Kind == Answer && (o.Ticket.Number == 0 || !o.Authenticated): // T20: the ticket's may be a forger's words
		s = l.say("Your question to the desk")
	case o.Kind == Alert:
		s = l.say("The desk needs a look")
	case o.Kind == RoundTrip:
		s = l.say("Does this come back?")
	case o.Kind == SignIn:
		s = l.say("Your link to sign in")
	}
	if tag := m.tag(o.Ticket); tag != "" {
		s = tag + " " + s
	}
	return shorten(s, maxSubject)
}

func (m *Mailer) bareSubject(t TicketView, l *language) string {
	s := triage.BareSubject(printable(t.Subject), append([]string{m.id.Prefix}, m.id.OldPrefixes...)...)
	if s == "" {
		return l.say("(no subject)")
	}
	return shorten(s, maxSubject)
}

func (m *Mailer) tag(t TicketView) string {
	if t.Number == 0 {
		return ""
	}
	return "[" + m.id.Prefix + "-" + t.Number.String() + "]"
}

// view is what the templates see: plain strings, each of them one line unless
// its comment says otherwise.
type view struct {
	Delimiter, Desk, Tag, Subject string
	Requester, Who, Actor         string
	Greeting                      string // name to greet by; empty if there is none to rely on
	Verified                      bool   // who wrote Text is proven
	Status, Priority, Team        string
	Assignee, Created, Page       string
	Before, After                 string
	Changed                       bool
	News, Next, Closing           string
	Text                          string // lines, as they are
	Quote                         string // lines, each with "> " before it
	Reasons, Notes, Files         []string
	Effects                       []triage.Effect
	Told                          []string
	Sections                      []Section
	Due                           string // date and time; empty: none
	Public                        bool   // for somebody who is no technician
	Undo                          bool   // something was changed that can be taken back
	Code                          string // to sign in with
	Faults                        []triage.CommandError
	OneFault                      bool
	Links                         links
}

// links are the addresses in a notice that may be followed.
type links struct{ Take, InProgress, Resolve, Reply, SignIn, page string }

// known gives the set of them.
func (l links) known() map[string]bool {
	all := map[string]bool{}
	for _, address := range []string{l.Take, l.InProgress, l.Resolve, l.Reply, l.SignIn, l.page} {
		if address != "" {
			all[address] = true
		}
	}
	return all
}

// render fills in the template of a language.
func (m *Mailer) render(o Occasion, l *language) (string, links, error) {
	t := o.Ticket
	v := view{
		Delimiter: Delimiter, Desk: m.id.Name, Tag: m.tag(t), Subject: m.bareSubject(t, l),
		Requester: person(t.Requester), Who: name(t.Requester), Actor: name(o.Actor),
		Verified: o.Authenticated, Status: l.say(t.Status.Label()), Priority: l.say(string(t.Priority)),
		Team: short(t.Team), Assignee: short(t.Assignee),
		Created: l.date(t.CreatedAt.In(m.id.Location)),
		Before:  short(o.Before), After: short(o.After),
		Greeting: salutation(t.Requester.Name),
		Text:     text(o.Text), Quote: quote(o.Text),
	}
	if t.CreatedAt.IsZero() {
		v.Created = l.date(o.At.In(m.id.Location))
	}
	for _, conveyed := range []*string{&v.Text, &v.Quote} {
		if s, cut := strings.CutSuffix(*conveyed, goesOn); cut && len(o.Text) > maxText {
			*conveyed = s + l.say(goesOn)
		}
	}
	if o.Kind != MoveNotice && o.Kind != MergeNotice {
		v.Before, v.After = l.say(v.Before), l.say(v.After)
	}
	v.Changed = v.Before != "" && v.After != "" && v.Before != v.After
	if o.Kind == TakenNotice && strings.EqualFold(o.Actor.Addr, t.Assignee) {
		v.Actor = "" // who took it is named already
	}
	if (o.Kind == AnswerNotice || o.Kind == TeamNotice) && o.Actor.Addr != "" {
		v.Who = name(o.Actor)
	}
	for _, r := range o.Reasons {
		v.Reasons = append(v.Reasons, l.say(long(r)))
	}
	for _, n := range o.Notes {
		v.Notes = append(v.Notes, l.say(long(n)))
	}
	for _, a := range o.Attachments {
		v.Files = append(v.Files, fmt.Sprintf("%s (%s)", fileName(a.Name), l.size(len(a.Data))))
	}
	for _, n := range o.AttachmentNames {
		v.Files = append(v.Files, l.say(fileName(n)+" (too large to send along)"))
	}
	for _, e := range o.Effects {
		e = triage.Effect{Line: long(e.Line), Before: l.say(short(e.Before)), After: l.say(short(e.After))}
		v.Effects = append(v.Effects, e)
		v.Undo = v.Undo || e.Before != "" && e.Before != e.After
	}
	for _, t := range o.Told {
		v.Told = append(v.Told, l.told(long(t)))
	}
	for _, s := range o.Sections {
		lines := make([]string, len(s.Lines))
		for i, line := range s.Lines {
			lines[i] = indent(l.sayLine(line))
		}
		v.Sections = append(v.Sections, Section{l.say(long(s.Title)), lines})
	}
	v.Public = forms[o.Kind].public || o.Public
	if !t.DueAt.IsZero() {
		v.Due = l.date(t.DueAt.In(m.id.Location))
	}
	for _, f := range o.Errors {
		v.Faults = append(v.Faults, triage.CommandError{Line: long(f.Line), Why: l.say(long(f.Why)), Valid: l.say(long(f.Valid))})
	}
	v.OneFault = len(v.Faults) == 1
	v.News, v.Next = news(o, v)
	v.News, v.Next = l.say(v.News), l.say(v.Next)
	v.Closing = l.say("To answer, just reply to this mail.")
	if t.Status == ticket.Resolved {
		v.Closing = l.say("Not solved yet? Just reply to this mail.")
	}
	if !v.Public {
		if m.id.PageURL != "" && t.Number != 0 {
			v.Page = strings.TrimRight(m.id.PageURL, "/") + "/ticket/" + t.Number.String()
		}
		v.Links = links{
			Take:       mailto(o.From, v.Tag, "#take"),
			InProgress: mailto(o.From, v.Tag, "#in progress"),
			Resolve:    mailto(o.From, v.Tag, "#resolved"),
		}
		if t.Requester.Addr != "" {
			v.Links.Reply = mailto(o.From, v.Tag, "#reply\r\n\r\n")
		}
		v.Links.page = v.Page
	}
	v.Links.SignIn, v.Code = o.Link, o.Code
	text, err := m.wording.write(l.code, o.Kind, v)
	return text, v.Links, err
}

// indent prepares the line of a section: what follows its first line end
// stands further in, so that nothing of it can pass for a line of ours.
func indent(s string) string { return strings.ReplaceAll(text(s), "\n", "\n      ") }

// news says in words what a change of status means for the requester, and
// what the requester may do now.
func news(o Occasion, v view) (what, next string) {
	switch o.After {
	case ticket.InProgress.Label():
		what = "somebody is working on your request."
		if v.Actor != "" {
			what = v.Actor + " is working on your request."
		}
		return what, "There is nothing you need to do. If there is more to say, just reply to this mail."
	case ticket.Waiting.Label():
		return "your request is on hold for the moment: we are waiting for something that we need to go on.",
			"If we asked you something, just reply to this mail, and we go on at once."
	case ticket.Resolved.Label():
		return "good news: we believe that your request is solved.",
			"Is something still not right? Just reply to this mail, and we take it up again. Otherwise there is nothing you need to do."
	case ticket.Closed.Label():
		return "your request is closed.",
			"Do you need us again? Just reply to this mail, and we open a new request that is linked to this one."
	}
	what = "your request is waiting for the next free technician."
	if o.Before == ticket.Resolved.Label() || o.Before == ticket.Closed.Label() {
		what = "your request is open again."
	}
	return what, "Somebody will look into it and write to you. If there is more to say, just reply to this mail."
}

// mailto makes a link that opens a new mail with everything filled in (RFC
// 6068, section 2).
func mailto(addr, subject, body string) string {
	local, domain, _ := cutLast(addr, "@")
	return "mailto:" + percent(local) + "@" + percent(domain) + "?subject=" + percent(subject) + "&body=" + percent(body)
}

// percent codes all bytes but the unreserved ones (RFC 3986, section 2.3).
func percent(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// render codes the draft as a mail.
func (d *draft) render() ([]byte, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(),
		gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(gomail.EncodingQP))
	msg.FromMailAddress(&d.from)
	msg.SetAddrHeaderFromMailAddress(gomail.HeaderTo, pointers(d.to)...)
	if len(d.cc) > 0 {
		msg.SetAddrHeaderFromMailAddress(gomail.HeaderCc, pointers(d.cc)...)
	}
	for _, f := range d.fields {
		msg.SetGenHeader(gomail.Header(f.name), codeWords(f.value))
	}
	if err := d.boundaries(msg); err != nil {
		return nil, err
	}
	msg.SetBodyString(gomail.TypeTextPlain, d.text)
	msg.AddAlternativeString(gomail.TypeTextHTML, d.html)
	for _, a := range d.files {
		msg.AttachReadSeeker(a.Name, bytes.NewReader(a.Data), fileHeader(a))
	}
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, err
	}
	if !bytes.HasSuffix(b.Bytes(), []byte("\r\n")) {
		b.WriteString("\r\n")
	}
	if d.dkim == nil {
		return b.Bytes(), nil
	}
	return sign(d.dkim, b.Bytes())
}

// boundaries makes the library use ours, which are the same whenever the mail
// is written. It lets one be set, but for all levels at once, and so for
// neither where there are two; of those that it made up by itself it remembers
// one for each level, for the next time. So the mail is written twice for
// nothing, with nothing in it: once with the outer level alone, once with the
// inner one. Should the library change its mind, compare finds out.
func (d *draft) boundaries(msg *gomail.Msg) error {
	msg.SetBodyString(gomail.TypeTextPlain, "")
	if len(d.files) > 0 {
		msg.AttachReadSeeker("none", bytes.NewReader(nil))
		msg.SetBoundary(d.outer)
		if _, err := msg.WriteTo(io.Discard); err != nil {
			return err
		}
		msg.UnsetAllAttachments()
	}
	msg.AddAlternativeString(gomail.TypeTextHTML, "")
	msg.SetBoundary(d.boundary)
	if _, err := msg.WriteTo(io.Discard); err != nil {
		return err
	}
	msg.SetBoundary("")
	return nil
}

// fileHeader codes name and type of a file as RFC 2231 has it. The library
// puts encoded words into quoted strings, which RFC 2047, section 5 forbids.
func fileHeader(a Attachment) gomail.FileOption {
	media, params, err := mime.ParseMediaType(a.Type)
	if err != nil {
		media, params = "application/octet-stream", nil
	}
	with := map[string]string{"name": a.Name}
	if cs := params["charset"]; cs != "" {
		with["charset"] = cs
	}
	return func(f *gomail.File) {
		f.Header = textproto.MIMEHeader{
			"Content-Type":        {mime.FormatMediaType(media, with)},
			"Content-Disposition": {mime.FormatMediaType("attachment", map[string]string{"filename": a.Name})},
		}
	}
}

// compare takes the mail apart again and holds it against the draft: exactly
// the fields that were meant, each once, with the values that were meant, the
// text, the files.
func (d *draft) compare(b []byte) error {
	if !clean(b) {
		return errors.New("bare line ends or NUL in the mail")
	}
	for rest := b; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if len(line) > maxLine {
			return fmt.Errorf("a line of %d bytes in the mail", len(line))
		}
	}
	msg, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	want := map[string]bool{"From": true, "To": true, "Mime-Version": true, "Content-Type": true}
	if len(d.cc) > 0 {
		want["Cc"] = true
	}
	if d.dkim != nil {
		want["Dkim-Signature"] = true
	}
	decoder := new(mime.WordDecoder)
	for _, f := range d.fields {
		key := textproto.CanonicalMIMEHeaderKey(f.name)
		want[key] = true
		if got, err := decoder.DecodeHeader(msg.Header.Get(key)); err != nil || got != f.value {
			return fmt.Errorf("field %s reads %q, want %q", f.name, got, f.value)
		}
	}
	for key, values := range msg.Header {
		if !want[key] || len(values) != 1 {
			return fmt.Errorf("field %s stands %d times in the mail, unexpectedly", key, len(values))
		}
		delete(want, key)
	}
	for key := range want {
		return fmt.Errorf("field %s is missing in the mail", key)
	}
	for key, list := range map[string][]mail.Address{"From": {d.from}, "To": d.to, "Cc": d.cc} {
		if len(list) == 0 {
			continue
		}
		got, err := msg.Header.AddressList(key)
		if err != nil {
			return fmt.Errorf("field %s: %w", key, err)
		}
		if !slices.EqualFunc(got, list, func(a *mail.Address, b mail.Address) bool { return *a == b }) {
			return fmt.Errorf("field %s reads %q", key, msg.Header.Get(key))
		}
	}
	return d.compareBody(textproto.MIMEHeader(msg.Header), msg.Body)
}

// compareBody compares the parts: the two forms of the text, which stand in a
// part of their own where files go along.
func (d *draft) compareBody(h textproto.MIMEHeader, body io.Reader) error {
	if len(d.files) == 0 {
		return d.compareForms(h, body)
	}
	parts, err := partsOf(h, body, "multipart/mixed", d.outer)
	if err != nil {
		return err
	}
	part, err := parts.NextRawPart()
	if err != nil {
		return fmt.Errorf("text parts: %w", err)
	}
	if len(part.Header) != 1 {
		return fmt.Errorf("text parts: %d fields, want 1", len(part.Header))
	}
	if err := d.compareForms(part.Header, part); err != nil {
		return err
	}
	for _, f := range d.files {
		part, err := parts.NextRawPart()
		if err != nil {
			return fmt.Errorf("attachment %q: %w", f.Name, err)
		}
		if err := compareFile(part, f); err != nil {
			return fmt.Errorf("attachment %q: %w", f.Name, err)
		}
	}
	return noMore(parts)
}

// compareForms compares text and HTML.
func (d *draft) compareForms(h textproto.MIMEHeader, body io.Reader) error {
	parts, err := partsOf(h, body, "multipart/alternative", d.boundary)
	if err != nil {
		return err
	}
	for _, form := range []struct{ media, want string }{{"text/plain", d.text}, {"text/html", d.html}} {
		part, err := parts.NextRawPart()
		if err != nil {
			return fmt.Errorf("%s part: %w", form.media, err)
		}
		if err := compareText(part, form.media, strings.ReplaceAll(form.want, "\n", "\r\n")); err != nil {
			return fmt.Errorf("%s part: %w", form.media, err)
		}
	}
	return noMore(parts)
}

// partsOf opens a multipart that must be of this type, with this boundary and
// nothing else.
func partsOf(h textproto.MIMEHeader, body io.Reader, media, boundary string) (*multipart.Reader, error) {
	got, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || got != media || len(params) != 1 || params["boundary"] != boundary {
		return nil, fmt.Errorf("%q is not the %s that was meant", h.Get("Content-Type"), media)
	}
	return multipart.NewReader(body, boundary), nil
}

func noMore(parts *multipart.Reader) error {
	if _, err := parts.NextRawPart(); err != io.EOF {
		return errors.New("more parts than were meant")
	}
	return nil
}

func compareText(part *multipart.Part, media, want string) error {
	if len(part.Header) != 2 || part.Header.Get("Content-Type") != media+"; charset=UTF-8" || part.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
		return errors.New("it is not coded as it should be")
	}
	got, err := io.ReadAll(quotedprintable.NewReader(part))
	if err != nil {
		return err
	}
	if string(got) != want {
		return errors.New("it reads otherwise")
	}
	return nil
}

func compareFile(part *multipart.Part, f Attachment) error {
	if n := len(part.Header); n != 3 {
		return fmt.Errorf("%d fields, want 3", n)
	}
	_, typ, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
	if err != nil || typ["name"] != f.Name {
		return errors.New("the type reads otherwise")
	}
	kind, disp, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || kind != "attachment" || disp["filename"] != f.Name {
		return errors.New("the name reads otherwise")
	}
	if part.Header.Get("Content-Transfer-Encoding") != "base64" {
		return errors.New("it is not coded in base64")
	}
	got, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, part))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, f.Data) {
		return errors.New("the bytes read otherwise")
	}
	return nil
}
