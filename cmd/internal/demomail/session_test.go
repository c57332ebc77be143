package demomail

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/google/go-cmp/cmp"
)

// client is a library client with the events that it has seen.
type client struct {
	*imapclient.Client
	events chan string
}

func dial(t *testing.T, s *Server, login string) *client {
	t.Helper()
	c := &client{events: make(chan string, 1000)}
	conn, err := net.Dial("tcp", s.IMAPAddr())
	if err != nil {
		t.Fatal(err)
	}
	c.Client = imapclient.New(conn, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Expunge: func(seq uint32) { c.events <- fmt.Sprintf("expunge %d", seq) },
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				c.events <- fmt.Sprintf("exists %d", *data.NumMessages)
			}
		},
		Fetch: func(msg *imapclient.FetchMessageData) {
			buf, err := msg.Collect()
			if err == nil {
				c.events <- fmt.Sprintf("flags %d %v", buf.SeqNum, buf.Flags)
			}
		},
	}})
	t.Cleanup(func() {
		_ = conn.Close() // some tests have been thrown out before
		_ = c.Client.Close()
	})
	if login != "" {
		if err := c.Login(login, "demo").Wait(); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *client) open(t *testing.T, folder string) {
	t.Helper()
	if _, err := c.Select(folder, nil).Wait(); err != nil {
		t.Fatal(err)
	}
}

func (c *client) uids(t *testing.T) []imap.UID {
	t.Helper()
	data, err := c.UIDSearch(&imap.SearchCriteria{}, nil).Wait()
	if err != nil {
		t.Fatal(err)
	}
	return data.AllUIDs()
}

func (c *client) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-c.events:
			if got != w {
				t.Errorf("event: got %q, want %q", got, w)
			}
		case <-t.Context().Done():
			t.Fatalf("no event, want %q", w)
		}
	}
}

func deliver(t *testing.T, s *Server, to string, n int) {
	t.Helper()
	for i := range n {
		raw := fmt.Sprintf("From: ann@example.com\r\nSubject: mail %d\r\n\r\nbody %d\r\n", i+1, i+1)
		if err := s.Deliver("ann@example.com", []string{to}, []byte(raw), ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIdleSessionSeesWhatAnotherOneDoesAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	deliver(t, s, "ann@example.com", 5)
	watcher, mover := dial(t, s, "ann@example.com"), dial(t, s, "ann@example.com")
	watcher.open(t, "INBOX")
	mover.open(t, "INBOX")
	if err := mover.Create("Done", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	idle, err := watcher.Idle()
	if err != nil {
		t.Fatal(err)
	}

	deliver(t, s, "ann@example.com", 1)
	watcher.expect(t, "exists 6")

	data, err := mover.Move(imap.UIDSetNum(2, 3, 5, 99), "Done").Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(data.SourceUIDs, data.DestUIDs), "2:3,5 1:3"; got != want {
		t.Errorf("COPYUID: got %s, want %s", got, want)
	}
	watcher.expect(t, "expunge 5", "expunge 3", "expunge 2")
	mover.expect(t, "expunge 5", "expunge 3", "expunge 2", "exists 3")
	if got := mover.Mailbox().NumMessages; got != 3 {
		t.Errorf("the mover counts %d mails, want 3", got)
	}

	store := imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{"$Ticketed", imap.FlagSeen}, Silent: true}
	if err := mover.Store(imap.UIDSetNum(4), &store, nil).Close(); err != nil {
		t.Fatal(err)
	}
	watcher.expect(t, `flags 2 [$Ticketed \Seen]`)
	if err := idle.Close(); err != nil {
		t.Fatal(err)
	}
	if err := idle.Wait(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]imap.UID{1, 4, 6}, watcher.uids(t)); diff != "" {
		t.Errorf("what the watcher finds (-want +got):\n%s", diff)
	}
	if err := mover.Noop().Wait(); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-mover.events:
		t.Errorf("the mover was told of its own silent change: %q", e)
	default:
	}
}

func TestSequenceNumbersStayWhatTheClientThinksTheyAre(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	deliver(t, s, "ann@example.com", 4)
	reader, other := dial(t, s, "ann@example.com"), dial(t, s, "ann@example.com")
	reader.open(t, "INBOX")
	other.open(t, "INBOX")
	if err := other.Create("Done", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Move(imap.UIDSetNum(1, 2), "Done").Wait(); err != nil {
		t.Fatal(err)
	}
	// FETCH by number: EXPUNGE must not be told before it is over, and number 3
	// is still the third mail of four.
	msgs, err := reader.Fetch(imap.SeqSetNum(1, 3), &imap.FetchOptions{UID: true}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	if len(msgs) != 1 || msgs[0].UID != 3 || msgs[0].SeqNum != 3 {
		t.Errorf("got %+v, want the mail with UID 3 as number 3", msgs)
	}
	select {
	case e := <-reader.events:
		t.Errorf("told during FETCH: %q", e)
	default:
	}
	if err := reader.Noop().Wait(); err != nil {
		t.Fatal(err)
	}
	reader.expect(t, "expunge 2", "expunge 1")
	msgs, err = reader.Fetch(imap.SeqSet{{Start: 2, Stop: 0}}, &imap.FetchOptions{UID: true}).Collect()
	if err != nil || len(msgs) != 1 || msgs[0].UID != 4 {
		t.Errorf("2:* after the news: got %+v, %v, want UID 4", msgs, err)
	}
	data, err := reader.UIDSearch(&imap.SearchCriteria{UID: []imap.UIDSet{{{Start: 77, Stop: 0}}}}, nil).Wait()
	if err != nil || !cmp.Equal(data.AllUIDs(), []imap.UID{4}) {
		t.Errorf("UID 77:*: got %v, %v, want the last mail", data, err)
	}
}

func TestServerCanLackExtensions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cap imap.Cap
		o   Options
		try string
		no  string
	}{
		{imap.CapMove, Options{NoMove: true}, "a UID MOVE 1 Done", "\r\na BAD "},
		{imap.CapIdle, Options{NoIdle: true}, "a IDLE", "\r\n* BYE IDLE"},
		{imap.CapUIDPlus, Options{NoUIDPlus: true}, "a UID EXPUNGE 1", "\r\na BAD "},
	} {
		t.Run(string(c.cap), func(t *testing.T) {
			t.Parallel()
			full, lacking := start(t, Options{}), start(t, c.o)
			deliver(t, lacking, "ann@example.com", 1)
			if !dial(t, full, "ann@example.com").Caps().Has(c.cap) {
				t.Error("the full server does not have it")
			}
			cl := dial(t, lacking, "ann@example.com")
			if cl.Caps().Has(c.cap) {
				t.Error("the lacking server says that it has it")
			}
			if caps, err := cl.Capability().Wait(); err != nil || caps.Has(c.cap) || !caps.Has(imap.CapNamespace) {
				t.Errorf("CAPABILITY: %v, %v", caps, err)
			}
			rest := "\r\nb APPEND Done {3}\r\nx\r\n\r\nc UID COPY 1 Done\r\nd LOGOUT\r\n"
			if c.o.NoIdle {
				rest = "\r\n" // what comes now would end IDLE
			}
			got := talk(t, lacking.IMAPAddr(), "x LOGIN ann@example.com demo\r\ny CREATE Done\r\nz SELECT INBOX\r\n"+
				"f STORE 1 +FLAGS (\\Deleted)\r\n"+c.try+rest)
			if !strings.Contains(got, c.no) {
				t.Errorf("it was not refused: %q", got)
			}
			if n := len(lacking.Mailbox("ann@example.com", "INBOX")); n != 1 {
				t.Errorf("mails left: got %d, want 1", n)
			}
			if c.o.NoUIDPlus && (strings.Contains(got, "APPENDUID") || strings.Contains(got, "COPYUID")) {
				t.Errorf("UIDs of copies were told: %q", got)
			}
		})
	}
}

func TestLoginByEveryMechanism(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for name, c := range map[string]sasl.Client{
		"PLAIN": sasl.NewPlainClient("", "Ann+x@example.com", "demo"),
		"LOGIN": sasl.NewLoginClient("ann@example.com", "demo"),
	} {
		if err := dial(t, s, "").Authenticate(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]sasl.Client{
		"wrong password": sasl.NewPlainClient("", "ann@example.com", "x"),
		"acts for bob":   sasl.NewPlainClient("bob@example.com", "ann@example.com", "demo"),
		"wrong LOGIN":    sasl.NewLoginClient("ann@example.com", "x"),
		"elsewhere":      sasl.NewPlainClient("", "ann@example.net", "demo"),
	} {
		err := dial(t, s, "").Authenticate(c)
		if ie, ok := err.(*imap.Error); !ok || ie.Code != imap.ResponseCodeAuthenticationFailed {
			t.Errorf("%s: got %v, want AUTHENTICATIONFAILED", name, err)
		}
	}
}

func TestSlowReaderDoesNotHoldUpDelivery(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	big := append([]byte("Subject: big\r\n\r\n"), bytes.Repeat([]byte(strings.Repeat("x", 62)+"\r\n"), 20<<20/64)...)
	if err := s.Deliver("", []string{"ann@example.com"}, big, ""); err != nil {
		t.Fatal(err)
	}
	reader := dial(t, s, "ann@example.com")
	reader.open(t, "INBOX")
	fetch := reader.Fetch(imap.UIDSetNum(1), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
	msg := fetch.Next() // the literal is open now, and nobody reads it
	other := dial(t, s, "ann@example.com")
	other.open(t, "INBOX")
	deliver(t, s, "ann@example.com", 1)
	if got := other.uids(t); len(got) != 2 {
		t.Errorf("the other session finds %v", got)
	}
	for item := msg.Next(); item != nil; item = msg.Next() {
		if body, ok := item.(imapclient.FetchItemDataBodySection); ok {
			raw, err := io.ReadAll(body.Literal)
			if err != nil || !bytes.Equal(raw, s.Mailbox("ann@example.com", "")[0]) {
				t.Errorf("the slow reader got %d bytes, %v", len(raw), err)
			}
		}
	}
	if err := fetch.Close(); err != nil {
		t.Error(err)
	}
}

func TestAppendAboveTheLimitIsRefusedAndTheConnectionLives(t *testing.T) {
	t.Parallel()
	s := start(t, Options{limits: limits{mail: 5000, total: 12500, keywords: 2}})
	var c *client
	put := func(size int, flags ...imap.Flag) (*imap.AppendData, error) {
		cmd := c.Append("INBOX", int64(size), &imap.AppendOptions{Flags: flags})
		_, _ = cmd.Write(bytes.Repeat([]byte("x"), size)) // a refusal shows at Wait
		_ = cmd.Close()
		return cmd.Wait()
	}
	code := func(err error) imap.ResponseCode {
		if ie, ok := err.(*imap.Error); ok {
			return ie.Code
		}
		return imap.ResponseCode(fmt.Sprint(err))
	}
	c = dial(t, s, "ann@example.com")
	if _, err := put(5001); code(err) != imap.ResponseCodeTooBig {
		t.Errorf("too big: %v", err)
	}
	if got := talk(t, s.IMAPAddr(), "a LOGIN ann@example.com demo\r\nb APPEND INBOX {5001}\r\nc LOGOUT\r\n"); !strings.Contains(got, "c OK") {
		t.Errorf("after a refusal: %q", got)
	}
	c = dial(t, s, "ann@example.com") // the client library hangs up after a refusal
	if data, err := put(5000, "$One", imap.FlagSeen); err != nil || data.UID != 1 {
		t.Errorf("fits: %v, %v", data, err)
	}
	if _, err := put(5000); code(err) != imap.ResponseCodeOverQuota {
		t.Errorf("above the total: %v", err)
	}
	if _, err := put(10, "$Two", "$Three"); code(err) != imap.ResponseCodeLimit {
		t.Errorf("too many keywords: %v", err)
	}
	if data, err := put(10, "$ONE", "$Two"); err != nil || data.UID != 2 {
		t.Errorf("known keywords: %v, %v", data, err)
	}
	c.open(t, "INBOX")
	msgs, err := c.Fetch(imap.UIDSet{{Start: 1, Stop: 2}}, &imap.FetchOptions{Flags: true, UID: true}).Collect()
	if err != nil || len(msgs) != 2 {
		t.Fatalf("fetch: %v, %v", msgs, err)
	}
	if got, want := fmt.Sprint(msgs[0].Flags, msgs[1].Flags), `[$One \Seen] [$One $Two]`; got != want {
		t.Errorf("flags: got %s, want %s", got, want)
	}
	if got := s.stock.bytes; got != 5010 {
		t.Errorf("bytes held: got %d, want 5010", got)
	}
}

func TestFoldersAreMadeListedRenamedAndDeleted(t *testing.T) {
	t.Parallel()
	s := start(t, Options{limits: limits{folders: 6}})
	deliver(t, s, "ann@example.com", 2)
	c, other := dial(t, s, "ann@example.com"), dial(t, s, "ann@example.com")
	list := func(ref, pattern string) string {
		all, err := c.List(ref, pattern, nil).Collect()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, d := range all {
			names = append(names, fmt.Sprintf("%s%v", d.Mailbox, d.Attrs))
		}
		return strings.Join(names, " ")
	}
	for _, name := range []string{"A", "A/B/C", "Übung/"} {
		if err := c.Create(name, nil).Wait(); err != nil {
			t.Errorf("create %q: %v", name, err)
		}
	}
	for _, name := range []string{"inbox", "A/", "", "A/B", "/x", "a//b", "a*", "a%", "a\x01b", strings.Repeat("x", 201)} {
		if err := c.Create(name, nil).Wait(); err == nil {
			t.Errorf("create %q was taken", name)
		}
	}
	if err := c.Create("F6", nil).Wait(); err != nil {
		t.Error(err)
	}
	if err := c.Create("F7/x", nil).Wait(); err == nil {
		t.Error("one folder too many was made")
	}
	for _, p := range []struct{ ref, pattern, want string }{
		{"", "*", `A[\HasChildren] A/B[\HasChildren] A/B/C[\HasNoChildren] F6[\HasNoChildren] INBOX[\HasNoChildren] Übung[\HasNoChildren]`},
		{"", "%", `A[\HasChildren] F6[\HasNoChildren] INBOX[\HasNoChildren] Übung[\HasNoChildren]`},
		{"", "A/%", `A/B[\HasChildren]`},
		{"A/", "*C", `A/B/C[\HasNoChildren]`},
		{"", "inBOX", `INBOX[\HasNoChildren]`},
		{"", "Done", ``},
		{"", strings.Repeat("*%", 400) + "x", ``},
	} {
		if got := list(p.ref, p.pattern); got != p.want {
			t.Errorf("LIST %q %q: got %s, want %s", p.ref, p.pattern, got, p.want)
		}
	}
	if err := c.Create("iNbOx/Done", nil).Wait(); err == nil {
		t.Error("one folder too many was made beneath INBOX")
	}
	if err := c.Delete("F6").Wait(); err != nil {
		t.Error(err)
	}
	if err := c.Create("iNbOx/Done", nil).Wait(); err != nil {
		t.Error(err)
	}
	if got, want := list("", "inbox*"), `INBOX[\HasChildren] INBOX/Done[\HasNoChildren]`; got != want {
		t.Errorf("beneath INBOX: got %s, want %s", got, want)
	}
	if err := c.Rename("inbox/done", "F6", nil).Wait(); err == nil {
		t.Error("names beneath INBOX are told apart by case")
	}
	if err := c.Rename("inbox/Done", "F6", nil).Wait(); err != nil {
		t.Error(err)
	}
	if err := c.Rename("A", "Z", nil).Wait(); err != nil {
		t.Error(err)
	}
	if err := c.Rename("Z", "Z/Y", nil).Wait(); err == nil {
		t.Error("a folder was moved into itself")
	}
	if got, want := list("", "Z*"), `Z[\HasChildren] Z/B[\HasChildren] Z/B/C[\HasNoChildren]`; got != want {
		t.Errorf("after the renaming: got %s, want %s", got, want)
	}
	if err := c.Delete("F6").Wait(); err != nil {
		t.Error(err)
	}
	if err := c.Delete("INBOX").Wait(); err == nil {
		t.Error("INBOX was deleted")
	}
	other.open(t, "INBOX")
	if err := c.Rename("INBOX", "Old", nil).Wait(); err != nil {
		t.Error(err)
	}
	if err := other.Noop().Wait(); err != nil {
		t.Error(err)
	}
	other.expect(t, "expunge 2", "expunge 1")
	other.open(t, "Old")
	if err := c.Delete("Old").Wait(); err != nil {
		t.Error(err)
	}
	if err := other.Noop().Wait(); err != nil {
		t.Error(err)
	}
	other.expect(t, "expunge 2", "expunge 1")
	if err := c.Create("Old", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	status := func() uint32 {
		data, err := c.Status("Old", &imap.StatusOptions{UIDValidity: true, DeletedStorage: true, AppendLimit: true, NumDeleted: true, Size: true}).Wait()
		if err != nil {
			t.Fatal(err)
		}
		return data.UIDValidity
	}
	first := status()
	if err := c.Delete("Old").Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Create("Old", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if second := status(); second <= first {
		t.Errorf("UIDVALIDITY after delete and create: %d, before %d", second, first)
	}
}

func TestRestartedServerHasHigherUIDValidity(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	validity := func(now time.Time) uint32 {
		s := start(t, Options{Now: func() time.Time { return now }})
		deliver(t, s, "ann@example.com", 1)
		return s.stock.find("ann@example.com", "").validity
	}
	if first, second := validity(at), validity(at.Add(time.Second)); second <= first {
		t.Errorf("UIDVALIDITY: first run %d, second run %d", first, second)
	}
}

func TestFolderOpenedReadOnlyStaysAsItIs(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	deliver(t, s, "ann@example.com", 1)
	got := talk(t, s.IMAPAddr(), "a LOGIN ann@example.com demo\r\nb CREATE Done\r\nc SELECT INBOX\r\nd STORE 1 +FLAGS.SILENT (\\Deleted)\r\n"+
		"e EXAMINE INBOX\r\nf FETCH 1 (BODY[TEXT]<2.3>)\r\ng STORE 1 +FLAGS (\\Flagged)\r\nh MOVE 1 Done\r\ni EXPUNGE\r\nj CLOSE\r\n"+
		"k SELECT INBOX\r\nl FETCH 1 (FLAGS)\r\nm LOGOUT\r\n")
	for _, want := range []string{
		"SELECT completed\r\nd OK", "e OK [READ-ONLY]", "BODY[TEXT]<2> {3}\r\ndy )", "g NO ", "h NO ", "j OK", "* 1 FETCH (FLAGS (\\Deleted))",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestHostileIMAPIsAnsweredAndTheServerLivesOn(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	mails := []string{
		"Content-Type: multipart/mixed; boundary=b\r\n\r\nno part\r\n",
		"Content-Type: multipart/mixed\r\n\r\n--\r\n\r\n--\r\n",
		"Content-Type: ;;;\r\nno colon here\r\n\x00\xff: x\r\n\r\n\x00\r\n",
		deep(2000),
		"Content-Type: message/rfc822\r\n\r\n" + strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 2000),
		"",
	}
	for _, raw := range mails {
		if err := s.Deliver("", []string{"ann@example.com"}, []byte(raw), ""); err != nil {
			t.Fatal(err)
		}
	}
	in := "a LOGIN ann@example.com demo\r\nb SELECT INBOX\r\n"
	for _, c := range []struct{ name, script, want string }{
		{"structure", in + "c FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY)\r\nd LOGOUT\r\n", "c OK"},
		{"part far down", in + "c FETCH 1:* (BODY.PEEK[1" + strings.Repeat(".1", 5000) + "])\r\nd LOGOUT\r\n", "c OK"},
		{"huge partial", in + "c FETCH 1:* (BODY.PEEK[]<9223372036854775807.9223372036854775807>)\r\nd LOGOUT\r\n", "c OK"},
		{"parts", in + "c FETCH 1:* (BODY.PEEK[1.MIME] BODY.PEEK[2.1.TEXT] BODY.PEEK[1.HEADER] BINARY.PEEK[1] BINARY.SIZE[1])\r\nd LOGOUT\r\n", "c OK"},
		{"header fields", in + "c FETCH 6 (BODY.PEEK[HEADER.FIELDS.NOT (Received Authentication-Results Delivered-To)])\r\nd LOGOUT\r\n", "{19}\r\nReturn-Path: <>\r\n\r\n)"},
		{"nothing to move", in + "c UID MOVE 900:901 Done\r\nd UID COPY 900 INBOX\r\ne LOGOUT\r\n", "c NO [TRYCREATE]"},
		{"nothing to copy", in + "c UID COPY 900 INBOX\r\nd LOGOUT\r\n", "c OK COPY completed"},
		{"search", in + "c UID SEARCH OR TEXT x NOT (BODY y HEADER Content-Type \"\")\r\nd LOGOUT\r\n", "c OK"},
		{"not not not", in + "c SEARCH " + strings.Repeat("NOT ", 10000) + "ALL\r\nd LOGOUT\r\n", "c OK"},
		{"saved search", in + "c UID SEARCH RETURN (SAVE COUNT) 2:3\r\nd FETCH $ (UID)\r\ne LOGOUT\r\n", "d OK"},
		{"unknown flag", in + "c STORE 1 +FLAGS (\\Nonsense)\r\nd LOGOUT\r\n", "c NO [LIMIT]"},
		{"idle without folder", "a LOGIN ann@example.com demo\r\nb IDLE\r\nDONE\r\nc LOGOUT\r\n", "b OK"},
		{"idle ended wrongly", in + "c IDLE\r\nNOPE\r\nd LOGOUT\r\n", "c BAD"},
		{"http", "GET / HTTP/1.0\r\n\r\n", "BYE"},
		{"before login", "a SELECT INBOX\r\nb FETCH 1 FLAGS\r\nc LOGOUT\r\n", "a BAD"},
		{"huge append", "a LOGIN ann@example.com demo\r\nb APPEND INBOX {99999999999}\r\nc LOGOUT\r\n", "b NO [TOOBIG]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := talk(t, s.IMAPAddr(), c.script); !strings.Contains(got, c.want) {
				t.Errorf("no %q in:\n%.3000s", c.want, got)
			}
		})
	}
}

// deep is a multipart in a multipart in a multipart.
func deep(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"b%d\"\r\n\r\n--b%d\r\n", i, i)
	}
	return b.String() + "\r\nx\r\n"
}

func TestSearchFindsByEveryCriterion(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Now: func() time.Time { return time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC) }})
	for _, raw := range []string{
		"From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\r\nDate: Sun, 1 Nov 2026 23:00:00 +0000\r\n\r\nplain Text\r\n",
		"From: ann@example.com\r\nX-Empty:\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" +
			"Content-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ==\r\n--b--\r\n",
		"From: ann@example.com\r\n\r\n" + strings.Repeat("long ", 200) + "\r\n",
	} {
		if err := s.Deliver("", []string{"ann@example.com"}, []byte(raw), ""); err != nil {
			t.Fatal(err)
		}
	}
	c := dial(t, s, "ann@example.com")
	c.open(t, "INBOX")
	store := imap.StoreFlags{Op: imap.StoreFlagsSet, Flags: []imap.Flag{imap.FlagSeen, "$x"}}
	if _, err := c.Store(imap.SeqSetNum(2), &store, nil).Collect(); err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	for _, q := range []struct {
		name string
		by   imap.SearchCriteria
		want []imap.UID
	}{
		{"from, decoded", imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "From", Value: "jürgen"}}}, []imap.UID{1}},
		{"field is there", imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "X-Empty"}}}, []imap.UID{2}},
		{"body", imap.SearchCriteria{Body: []string{"PLAIN text"}}, []imap.UID{1}},
		{"body, decoded", imap.SearchCriteria{Body: []string{"grüße"}}, []imap.UID{2}},
		{"body is not header", imap.SearchCriteria{Body: []string{"ann@example.com"}}, nil},
		{"text", imap.SearchCriteria{Text: []string{"From: ann@"}}, []imap.UID{2, 3}},
		{"flag", imap.SearchCriteria{Flag: []imap.Flag{"$X"}}, []imap.UID{2}},
		{"no flag", imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen}}, []imap.UID{1, 3}},
		{"larger", imap.SearchCriteria{Larger: 1000}, []imap.UID{3}},
		{"smaller", imap.SearchCriteria{Smaller: 1000}, []imap.UID{1, 2}},
		{"arrived", imap.SearchCriteria{Since: day}, []imap.UID{1, 2, 3}},
		{"arrived before", imap.SearchCriteria{Before: day}, nil},
		{"sent before", imap.SearchCriteria{SentBefore: day}, []imap.UID{1}},
		{"sent since", imap.SearchCriteria{SentSince: day}, nil},
		{"number", imap.SearchCriteria{SeqNum: []imap.SeqSet{imap.SeqSetNum(1, 3)}}, []imap.UID{1, 3}},
		{"not", imap.SearchCriteria{Not: []imap.SearchCriteria{{UID: []imap.UIDSet{imap.UIDSetNum(1)}}}}, []imap.UID{2, 3}},
		{"or", imap.SearchCriteria{Or: [][2]imap.SearchCriteria{{{Larger: 1000}, {Body: []string{"plain"}}}}}, []imap.UID{1, 3}},
	} {
		data, err := c.UIDSearch(&q.by, nil).Wait()
		if err != nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		if diff := cmp.Diff(q.want, data.AllUIDs()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", q.name, diff)
		}
	}
	data, err := c.Search(&imap.SearchCriteria{}, &imap.SearchOptions{ReturnMin: true, ReturnMax: true, ReturnCount: true}).Wait()
	if err != nil || data.Min != 1 || data.Max != 3 || data.Count != 3 {
		t.Errorf("MIN MAX COUNT: %+v, %v", data, err)
	}
}

func TestStalledFetchIsCutOffByClose(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	big := append([]byte("Subject: big\r\n\r\n"), bytes.Repeat([]byte(strings.Repeat("x", 62)+"\r\n"), 20<<20/64)...)
	if err := s.Deliver("", []string{"ann@example.com"}, big, ""); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.IMAPAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "a LOGIN ann@example.com demo\r\nb SELECT INBOX\r\nc FETCH 1 BODY[]\r\n")
	r := bufio.NewReader(conn)
	for line := ""; !strings.Contains(line, "FETCH"); {
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil { // waits for the session, which waits for us to read
		t.Error(err)
	}
}
