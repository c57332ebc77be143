package mailin

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
)

// conn is one signed-in connection. One goroutine owns it.
type conn struct {
	cfg    Config
	log    *slog.Logger
	raw    net.Conn // the socket: closing it ends whatever waits
	guard  *guard
	client *imapclient.Client
	state  *tls.ConnectionState // nil: not protected
	caps   imap.CapSet          // as they were after login
	news   chan struct{}        // the server spoke of new mail
	delim  rune
	prefix string // of the user's own folders, "INBOX." or empty
	home   string // name on the server of the folder that mail comes in to, once it was opened
}

// probe is how long a server may take to answer to the end of IDLE: with
// Config.Idle it bounds how long a dead connection goes unnoticed (F10).
const probe = 15 * time.Second

// connect dials, protects the connection and signs in. With fresh it asks for
// a new access token.
func (s *Source) connect(ctx context.Context, fresh bool) (_ *conn, err error) {
	var token string
	if s.cfg.Token != nil {
		if token, err = s.cfg.Token(ctx, fresh); err != nil {
			return nil, &LoginRefused{Username: s.cfg.Username, Text: "no access token: " + clean(err.Error())}
		}
	}
	dialing, cancel := context.WithTimeout(ctx, s.cfg.Command)
	defer cancel()
	raw, err := s.dial(dialing, "tcp", s.cfg.Server)
	if err != nil {
		return nil, &Unreachable{Server: s.cfg.Server, Err: err}
	}
	c := &conn{cfg: s.cfg, log: s.log, raw: raw, news: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	// The guard stands below the handshake, too, while there is no other.
	c.guard = newGuard(raw, raw)
	err = c.do(ctx, "protect the connection", s.cfg.Command, func(ctx context.Context) error {
		protected, state, err := s.cfg.secure(ctx, raw)
		if err != nil {
			return err
		}
		c.state, c.guard = state, newGuard(protected, raw)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.client = imapclient.New(c.guard, &imapclient.Options{
		// Runs in the library's read loop, so it must not wait.
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				select {
				case c.news <- struct{}{}:
				default:
				}
			}
		}},
	})
	if err := c.greet(ctx); err != nil {
		return nil, err
	}
	return c, c.login(ctx, token)
}

// greet takes the server's greeting.
func (c *conn) greet(ctx context.Context) error {
	return c.do(ctx, "wait for the greeting", c.cfg.Command, func(context.Context) error {
		if err := c.client.WaitGreeting(); err != nil {
			if no, ok := errors.AsType[*imap.Error](err); ok {
				return &Unavailable{Server: c.cfg.Server, Text: clean(no.Text)}
			}
			return err
		}
		if c.client.State() != imap.ConnStateNotAuthenticated {
			return &Preauth{Server: c.cfg.Server}
		}
		if c.client.Caps() == nil {
			return errors.New("the server does not say what it can do")
		}
		return nil
	})
}

// login signs in, and learns what the server can do for this user.
func (c *conn) login(ctx context.Context, token string) error {
	err := c.do(ctx, "sign in", c.cfg.Command, func(context.Context) error {
		caps := c.client.Caps()
		switch {
		case token != "" && !caps.Has(imap.AuthCap("XOAUTH2")) && caps.Has(imap.AuthCap(sasl.OAuthBearer)):
			return c.client.Authenticate(sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: c.cfg.Username, Token: token}))
		case token != "":
			return c.client.Authenticate(xoauth2{c.cfg.Username, token})
		case caps.Has(imap.AuthCap(sasl.Plain)):
			return c.client.Authenticate(sasl.NewPlainClient("", c.cfg.Username, c.cfg.Password))
		case caps.Has(imap.CapLoginDisabled):
			return &LoginRefused{Username: c.cfg.Username, Text: "the server takes no passwords here; is security set as it wants?"}
		}
		return c.client.Login(c.cfg.Username, c.cfg.Password).Wait()
	})
	if no, ok := errors.AsType[*imap.Error](err); ok {
		// The error itself is left behind: a server may repeat what it was sent (T45).
		return &LoginRefused{Username: c.cfg.Username, Code: clean(c.scrub(string(no.Code), token)), Text: clean(c.scrub(no.Text, token))}
	}
	if errors.Is(err, errTokenRefused) {
		return &LoginRefused{Username: c.cfg.Username, Text: errTokenRefused.Error()}
	}
	if err != nil {
		return err
	}
	return c.do(ctx, "ask what the server can do", c.cfg.Command, func(context.Context) error {
		c.caps, err = c.client.Capability().Wait()
		return err
	})
}

// scrub takes the secrets out of a server's words.
func (c *conn) scrub(s, token string) string {
	for _, secret := range []string{c.cfg.Password, token} {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "[hidden]")
		}
	}
	return s
}

// close ends the connection. The raw socket goes first: the library's Close
// waits for its read loop.
func (c *conn) close() {
	c.raw.Close()
	if c.client != nil {
		c.client.Close()
	}
}

// logout says goodbye before it closes.
func (c *conn) logout(ctx context.Context) {
	_ = c.do(ctx, "log out", 2*time.Second, func(context.Context) error { return c.client.Logout().Wait() })
	c.close()
}

// do runs one exchange with the server, which may take d and say maxTalk
// bytes. At the deadline, or when ctx ends, the socket is closed, since the
// library knows neither.
func (c *conn) do(ctx context.Context, what string, d time.Duration, f func(ctx context.Context) error) error {
	return c.doSized(ctx, what, d, maxTalk, f)
}

func (c *conn) doSized(ctx context.Context, what string, d time.Duration, bytes int64, f func(ctx context.Context) error) error {
	c.guard.allow(bytes)
	ctx, cancel := context.WithTimeoutCause(ctx, d, &Timeout{After: d})
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.raw.Close() })
	began := time.Now()
	err := f(ctx)
	inTime := stop()
	c.log.Debug("imap", "step", what, "took", time.Since(began), "ok", err == nil)
	if err == nil {
		return nil
	}
	if !inTime {
		err = errors.Join(context.Cause(ctx), err)
	}
	if v := c.guard.Err(); v != nil {
		err = errors.Join(v, err)
	}
	if bye := c.guard.Bye(); bye != "" && refusal(err) == nil {
		err = fmt.Errorf("the server hung up: %s: %w", bye, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// refusal gives the server's no to a command. Every other error means that the
// connection is lost.
func refusal(err error) *imap.Error {
	no, ok := errors.AsType[*imap.Error](err)
	if !ok || no.Type == imap.StatusResponseTypeBye {
		return nil
	}
	return no
}

// namespace learns how folders are named (RFC 2342).
func (c *conn) namespace(ctx context.Context) error {
	return c.do(ctx, "ask how folders are named", c.cfg.Command, func(context.Context) error {
		if c.caps.Has(imap.CapNamespace) {
			data, err := c.client.Namespace().Wait()
			if err == nil && len(data.Personal) > 0 {
				c.prefix, c.delim = data.Personal[0].Prefix, data.Personal[0].Delim
				return nil
			}
			if err != nil && refusal(err) == nil {
				return err
			}
		}
		list, err := collect(c.client.List("", "", nil))
		if err == nil && len(list) > 0 {
			c.delim = list[0].Delim
		}
		if refusal(err) != nil {
			return nil // flat names will do
		}
		return err
	})
}

// collect reads a LIST answer, of which it keeps little.
func collect(cmd *imapclient.ListCommand) ([]*imap.ListData, error) {
	var list []*imap.ListData
	for data := cmd.Next(); data != nil; data = cmd.Next() {
		if len(list) < 16 {
			list = append(list, data)
		}
	}
	return list, cmd.Close()
}

// candidates gives the names that a folder of the settings may have on this
// server: beside INBOX, then under it. A slash in the settings stands for the
// server's own delimiter.
func (c *conn) candidates(name string) []string {
	if strings.EqualFold(name, "INBOX") {
		return []string{"INBOX"}
	}
	if c.delim == 0 {
		return []string{c.prefix + strings.TrimPrefix(name, c.prefix)}
	}
	d := string(c.delim)
	name = strings.Trim(strings.ReplaceAll(name, "/", d), d)
	if c.prefix != "" {
		return []string{c.prefix + strings.TrimPrefix(name, c.prefix)}
	}
	if strings.HasPrefix(strings.ToUpper(name), "INBOX"+d) {
		return []string{name}
	}
	return []string{name, "INBOX" + d + name}
}

// find gives the first of these folders that is there, or "".
func (c *conn) find(ctx context.Context, names []string) (found string, err error) {
	for _, name := range names {
		err := c.do(ctx, "look for the folder "+name, c.cfg.Command, func(context.Context) error {
			list, err := collect(c.client.List("", name, nil))
			for _, l := range list {
				if strings.EqualFold(l.Mailbox, name) && !slices.Contains(l.Attrs, imap.MailboxAttrNonExistent) &&
					!slices.Contains(l.Attrs, imap.MailboxAttrNoSelect) {
					found = l.Mailbox
				}
			}
			return err
		})
		if err != nil && refusal(err) == nil {
			return "", err
		}
		if found != "" {
			return found, nil
		}
	}
	return "", nil
}

// ensure finds a folder or makes it, and gives its name on the server. A
// refusal to make it comes with the name that it should have.
func (c *conn) ensure(ctx context.Context, folder string) (string, error) {
	names := c.candidates(folder)
	if found, err := c.find(ctx, names); err != nil || found != "" {
		return found, err
	}
	var first error
	for _, name := range names {
		err := c.create(ctx, name)
		if err == nil {
			return name, nil
		}
		if refusal(err) == nil {
			return "", err
		}
		if first == nil {
			first = err
		}
	}
	return names[0], first
}

// create makes a folder, and lets mail programs show it.
func (c *conn) create(ctx context.Context, name string) error {
	err := c.do(ctx, "make the folder "+name, c.cfg.Command, func(context.Context) error {
		err := c.client.Create(name, nil).Wait()
		if no := refusal(err); no != nil && no.Code == imap.ResponseCodeAlreadyExists {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	c.log.Info("made a folder", "folder", name)
	err = c.do(ctx, "subscribe to the folder "+name, c.cfg.Command, func(context.Context) error {
		return c.client.Subscribe(name).Wait()
	})
	if refusal(err) != nil {
		return nil
	}
	return err
}

// open selects the folder that mail comes in to.
func (c *conn) open(ctx context.Context, readOnly bool) (*imap.SelectData, error) {
	name, err := c.find(ctx, c.candidates(c.cfg.Folder))
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = c.candidates(c.cfg.Folder)[0] // SELECT says what is wrong
	}
	data, err := c.selectFolder(ctx, name, readOnly)
	if no := refusal(err); no != nil {
		return nil, &FolderMissing{Folder: name, Text: clean(no.Text)}
	}
	c.home = name
	return data, err
}

// selectFolder opens a folder by its name on the server.
func (c *conn) selectFolder(ctx context.Context, name string, readOnly bool) (data *imap.SelectData, err error) {
	err = c.do(ctx, "open the folder "+name, c.cfg.Command, func(context.Context) error {
		data, err = c.client.Select(name, &imap.SelectOptions{ReadOnly: readOnly}).Wait()
		return err
	})
	return data, err
}

// noop lets the server bring its news.
func (c *conn) noop(ctx context.Context) error {
	return c.do(ctx, "see whether the server answers", c.cfg.Command, func(context.Context) error { return c.client.Noop().Wait() })
}

// search lists UIDs in ascending order.
func (c *conn) search(ctx context.Context, what string, criteria *imap.SearchCriteria) (uids []uint32, err error) {
	err = c.do(ctx, what, c.cfg.Command, func(context.Context) error {
		data, err := c.client.UIDSearch(criteria, nil).Wait()
		if err != nil {
			return err
		}
		set, _ := data.All.(imap.UIDSet)
		for _, r := range set {
			// A hostile range is small to send and large to write out.
			if r.Start == 0 || r.Stop < r.Start || int64(r.Stop)-int64(r.Start) > maxSearchLine || len(uids) > maxSearchLine {
				return &Violation{What: "listed more mails than there can be"}
			}
			for uid := r.Start; ; uid++ {
				uids = append(uids, uint32(uid))
				if uid == r.Stop {
					break
				}
			}
		}
		return nil
	})
	return uids, err
}

// meta is what is known of a mail before its body.
type meta struct {
	uid     uint32
	arrived time.Time
	size    int64
	filed   bool // bears our keyword
}

// filedMark is the keyword for originals that cannot be moved out of the way:
// on a server without MOVE and UIDPLUS (F13).
const filedMark = imap.Flag("$DeskdFiled")

// metas asks for what is known of these mails. Those that the server says
// nothing of are left out. With date it asks when they arrived, too: the
// library ends the connection over a date that it cannot read.
func (c *conn) metas(ctx context.Context, set imap.UIDSet, date bool) (out []meta, err error) {
	options := &imap.FetchOptions{UID: true, Flags: true, InternalDate: date, RFC822Size: true}
	err = c.do(ctx, "ask for sizes", c.cfg.Command, func(context.Context) error {
		cmd := c.client.Fetch(set, options)
		defer cmd.Close()
		for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
			m := meta{size: -1}
			for item := msg.Next(); item != nil; item = msg.Next() {
				switch item := item.(type) {
				case imapclient.FetchItemDataUID:
					m.uid = uint32(item.UID)
				case imapclient.FetchItemDataRFC822Size:
					m.size = item.Size
				case imapclient.FetchItemDataInternalDate:
					m.arrived = item.Time.UTC()
				case imapclient.FetchItemDataFlags:
					m.filed = m.filed || slices.ContainsFunc(item.Flags, func(f imap.Flag) bool {
						return strings.EqualFold(string(f), string(filedMark))
					})
				}
			}
			if m.uid != 0 && m.size >= 0 {
				out = append(out, m)
			}
		}
		return cmd.Close()
	})
	slices.SortFunc(out, func(a, b meta) int { return int(int64(a.uid) - int64(b.uid)) })
	return out, err
}

// body is a mail as one FETCH gave it.
type body struct {
	raw       []byte
	announced int64 // RFC822.SIZE
}

// maxHeader bounds how much of a mail over the size limit is read.
const maxHeader = 256 << 10

// tooLarge says that a mail turned out larger than it was announced.
type tooLarge struct {
	uid  uint32
	size int64
}

func (e *tooLarge) Error() string {
	return fmt.Sprintf("the mail with UID %d has %d bytes, more than it was announced with", e.uid, e.size)
}

// bodies fetches mails whole, or their header parts. What comes back is
// complete: as long as its literal was announced, and the server has said OK
// to all of it (F8). A mail that the server gave no body for is left out.
func (c *conn) bodies(ctx context.Context, mails []meta, header bool) (map[uint32]body, error) {
	section := &imap.FetchItemBodySection{Peek: true}
	limit := c.cfg.MaxMail
	var budget int64 = 1 << 20
	for _, m := range mails {
		budget += m.size + m.size/4 + 4096 // sizes are estimates on some servers (Exchange)
	}
	if len(mails) == 1 { // however wrong its size is
		budget = max(budget, limit+1<<20)
	}
	if header {
		section.Specifier = imap.PartSpecifierHeader
		section.Partial = &imap.SectionPartial{Size: maxHeader}
		limit, budget = maxHeader, maxHeader+1<<20
	}
	got := make(map[uint32]body, len(mails))
	err := c.doSized(ctx, "fetch mails", c.cfg.Body, budget, func(context.Context) error {
		cmd := c.client.Fetch(setOf(mails), &imap.FetchOptions{UID: true, RFC822Size: true, BodySection: []*imap.FetchItemBodySection{section}})
		// After an error the rest must not be waited for.
		giveUp := func(err error) error {
			c.raw.Close()
			cmd.Close()
			return err
		}
		for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
			var uid uint32
			b := body{announced: -1}
			for item := msg.Next(); item != nil; item = msg.Next() {
				switch item := item.(type) {
				case imapclient.FetchItemDataUID:
					uid = uint32(item.UID)
				case imapclient.FetchItemDataRFC822Size:
					b.announced = item.Size
				case imapclient.FetchItemDataBodySection:
					if item.Literal == nil || !item.MatchCommand(section) {
						continue
					}
					size := item.Literal.Size()
					if size > limit {
						return giveUp(&tooLarge{uid: uid, size: size})
					}
					b.raw = make([]byte, size)
					if n, err := io.ReadFull(item.Literal, b.raw); err != nil {
						// The failed read has set the library's read loop going again,
						// and closing the command reads, too: one after the other.
						c.raw.Close()
						<-c.client.Closed()
						return giveUp(fmt.Errorf("the mail with UID %d ended after %d of %d bytes: %w", uid, n, size, err))
					}
				}
			}
			if uid != 0 && b.raw != nil {
				got[uid] = b
			}
		}
		return cmd.Close()
	})
	if err != nil {
		if v := c.guard.Err(); v != nil && len(mails) == 1 {
			if v, ok := errors.AsType[*Violation](v); ok && v.Literal > limit {
				return nil, errors.Join(&tooLarge{uid: mails[0].uid, size: v.Literal}, err)
			}
		}
		return nil, err
	}
	return got, nil
}

// fetched makes what the Desk gets.
func fetched(box Box, m meta, b body, oversize bool) Fetched {
	return Fetched{
		Box: box, UID: m.uid, Arrived: m.arrived, Size: m.size,
		Raw: b.raw, SHA256: sha256.Sum256(b.raw), Oversize: oversize,
	}
}

// move puts mails into a folder, by the safest way that the server has (F13).
// copied says whether they lie in the folder already, from an attempt that
// ended half way; it is set to true when they do afterwards.
func (c *conn) move(ctx context.Context, uids []uint32, folder string, copied *bool) error {
	set := imap.UIDSetNum(uidsOf(uids)...)
	step := func(what string, f func() error) error {
		return c.do(ctx, what+" "+folder, c.cfg.Command, func(context.Context) error { return f() })
	}
	if c.caps.Has(imap.CapMove) {
		return step("move to", func() error {
			c.guard.moving.Store(true)
			defer c.guard.moving.Store(false)
			_, err := c.client.Move(set, folder).Wait()
			return err
		})
	}
	if !*copied {
		err := step("copy to", func() error {
			_, err := c.client.Copy(set, folder).Wait()
			return err
		})
		if err != nil {
			return err
		}
		*copied = true
	}
	mark := imap.FlagDeleted
	if !c.caps.Has(imap.CapUIDPlus) {
		// A plain EXPUNGE would take what others have marked.
		mark = filedMark
	}
	err := step("mark as copied to", func() error {
		return c.client.Store(set, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{mark}}, nil).Close()
	})
	if err != nil || mark == filedMark {
		return err
	}
	return step("remove what was copied to", func() error { return c.client.UIDExpunge(set).Close() })
}

// keeps says whether filed originals stay in the folder under a keyword.
func (c *conn) keeps() bool { return !c.caps.Has(imap.CapMove) && !c.caps.Has(imap.CapUIDPlus) }

// idle has the server bring its news while rest runs (RFC 2177). Offered is
// false when the server refuses to.
func (c *conn) idle(ctx context.Context, rest func()) (offered bool, err error) {
	var cmd *imapclient.IdleCommand
	err = c.do(ctx, "begin to idle", probe, func(context.Context) error {
		cmd, err = c.client.Idle()
		return err
	})
	if refusal(err) != nil {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	rest()
	// At a stop, too, IDLE is ended in order, so that LOGOUT can follow.
	ending, cancel := outlive(ctx, 2*time.Second)
	defer cancel()
	return true, c.do(ending, "end idling", probe, func(context.Context) error {
		if err := cmd.Close(); err != nil {
			return err
		}
		return cmd.Wait()
	})
}

// setOf makes a set of UIDs.
func setOf(mails []meta) imap.UIDSet {
	var set imap.UIDSet
	for _, m := range mails {
		set.AddNum(imap.UID(m.uid))
	}
	return set
}

func uidsOf(uids []uint32) []imap.UID {
	out := make([]imap.UID, len(uids))
	for i, u := range uids {
		out[i] = imap.UID(u)
	}
	return out
}

// clean makes a server's words fit to be shown and logged.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return strings.TrimSpace(s)
}

// Unreachable says that no connection came about.
type Unreachable struct {
	Server string
	Err    error
}

func (e *Unreachable) Error() string {
	return fmt.Sprintf("cannot reach %s; look at the server's name and port, and at firewalls between: %v", e.Server, e.Err)
}

func (e *Unreachable) Unwrap() error { return e.Err }

// Unavailable says that the server turned us away before the login.
type Unavailable struct {
	Server string
	Text   string // the server's own words
}

func (e *Unavailable) Error() string {
	return fmt.Sprintf("%s takes no connection at the moment (%s); it may have too many, or be in maintenance", e.Server, e.Text)
}

// Preauth says that the server wanted no login: somebody may be between.
type Preauth struct{ Server string }

func (e *Preauth) Error() string {
	return fmt.Sprintf("%s greets as if we were signed in already (PREAUTH), which no mail server should do here; check server and port", e.Server)
}

// LoginRefused says that the server did not let us in.
type LoginRefused struct {
	Username string
	Code     string // "AUTHENTICATIONFAILED" and the like (RFC 5530), or empty
	Text     string // the server's own words
}

func (e *LoginRefused) Error() string {
	code := ""
	if e.Code != "" {
		code = "[" + e.Code + "] "
	}
	return fmt.Sprintf("the login of %s is refused (%s%s); check username and password, and that the account may use IMAP", e.Username, code, e.Text)
}

// FolderMissing says that the folder to watch cannot be opened.
type FolderMissing struct {
	Folder string
	Text   string // the server's own words
}

func (e *FolderMissing) Error() string {
	return fmt.Sprintf("the folder %s cannot be opened (%s); set folder to one that exists", e.Folder, e.Text)
}

// Timeout says that the server did not answer in time.
type Timeout struct{ After time.Duration }

func (e *Timeout) Error() string { return fmt.Sprintf("no answer within %s", e.After) }

// slow says whether the server should be left alone for a while (F17).
func slow(err error) bool {
	_, unavailable := errors.AsType[*Unavailable](err)
	_, folder := errors.AsType[*FolderMissing](err)
	return unavailable || folder || isRefusedLogin(err)
}

func isRefusedLogin(err error) bool {
	_, ok := errors.AsType[*LoginRefused](err)
	return ok
}
