package demomail

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-sasl"
)

// The library's own backend (imapmemserver) is not used: it tells a client that
// moves a mail of the wrong mails that went, breaks the connection when the
// mail to be moved is not there, holds the mailbox while it writes a mail out,
// and writes keywords in lower case.

// session is one IMAP connection. It remembers what its client has been told of
// the selected folder, so that a sequence number means to the server what it
// means to the client: whatever happened meanwhile is told between commands,
// as the difference between that and the folder.
//
// The fields are guarded by the server's lock.
type session struct {
	server *Server
	conn   *imapserver.Conn

	account  *account
	box      *mailbox // selected, nil for none
	readOnly bool
	view     []told        // sequence number i+1 is view[i]
	top      imap.UID      // the highest UID ever in view
	change   uint64        // of the folder, when the client was last told everything
	found    imap.UIDSet   // by the last SEARCH that saved its result (RFC 5182)
	wake     chan struct{} // something happened in the folder

	telling sync.Mutex // held from working out what to tell until it is written
}

// told is a mail that the client knows of.
type told struct {
	m      *message
	change uint64 // of the flags it knows of
}

// movingSession is a session on a server that has MOVE. The library takes the
// method for the word that it is there.
type movingSession struct{ *session }

var (
	_ imapserver.SessionNamespace   = (*session)(nil)
	_ imapserver.SessionSASL        = (*session)(nil)
	_ imapserver.SessionAppendLimit = (*session)(nil)
	_ imapserver.SessionMove        = movingSession{}
)

const delimiter = '/'

func (s *Server) newSession(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	sess := &session{server: s, conn: c, wake: make(chan struct{}, 1)}
	if s.o.NoMove {
		return sess, nil, nil
	}
	return movingSession{sess}, nil, nil
}

func (s *Server) caps() imap.CapSet {
	caps := imap.CapSet{
		imap.CapIMAP4rev1: {}, imap.CapNamespace: {}, imap.CapUIDPlus: {}, imap.CapMove: {}, imap.CapESearch: {},
		imap.CapSearchRes: {}, imap.CapChildren: {}, imap.CapStatusSize: {}, imap.CapSpecialUse: {},
		imap.CapCreateSpecialUse: {},
	}
	if s.o.NoMove {
		delete(caps, imap.CapMove)
	}
	if s.o.NoUIDPlus {
		delete(caps, imap.CapUIDPlus)
	}
	return caps
}

// hideIdle returns what takes IDLE out of the lists of capabilities that a
// server writes; the library always has it. Each response begins a write of its
// own, so a list is a write of one line.
func hideIdle(hide bool) func([]byte) []byte {
	if !hide {
		return nil
	}
	return func(b []byte) []byte {
		line, ok := bytes.CutSuffix(b, []byte("\r\n"))
		if !ok || bytes.Contains(line, []byte("\n")) {
			return b
		}
		if _, rest, _ := bytes.Cut(line, []byte(" ")); !bytes.HasPrefix(rest, []byte("CAPABILITY ")) &&
			!bytes.HasPrefix(rest, []byte("OK [CAPABILITY ")) {
			return b
		}
		return bytes.Replace(b, []byte(" IDLE"), nil, 1)
	}
}

func no(code imap.ResponseCode, text string) error {
	return &imap.Error{Type: imap.StatusResponseTypeNo, Code: code, Text: text}
}

var (
	errNoFolder    = no(imap.ResponseCodeNonExistent, "No such folder")
	errTryCreate   = no(imap.ResponseCodeTryCreate, "No such folder")
	errExists      = no(imap.ResponseCodeAlreadyExists, "There is a folder of that name")
	errBadName     = no(imap.ResponseCodeCannot, "No folder can have that name")
	errOverQuota   = no(imap.ResponseCodeOverQuota, "The demo server is full")
	errLimit       = no(imap.ResponseCodeLimit, "Flags not known, or too many of them")
	errReadOnly    = no(imap.ResponseCodeNoPerm, "The folder was opened read-only")
	errManyFolders = no(imap.ResponseCodeLimit, "Too many folders")
	errNoUIDPlus   = &imap.Error{Type: imap.StatusResponseTypeBad, Text: "UID EXPUNGE is not known"}
)

// lock takes the server's lock and returns what gives it back.
func (c *session) lock() (unlock func()) {
	c.server.mu.Lock()
	return c.server.mu.Unlock
}

// Close ends the session.
func (c *session) Close() error { return c.Unselect() }

// Login opens the account of an address and makes it at the first time.
func (c *session) Login(name, password string) error {
	address, err := c.server.login(name, password)
	if err != nil {
		return imapserver.ErrAuthFailed
	}
	defer c.lock()()
	if !c.server.stock.room([]string{address}, 0, 0) {
		return no(imap.ResponseCodeUnavailable, "The demo server is full")
	}
	c.account = c.server.stock.open(address)
	return nil
}

// AuthenticateMechanisms lists the ways to log in beside LOGIN.
func (c *session) AuthenticateMechanisms() []string { return []string{sasl.Plain, sasl.Login} }

// Authenticate starts a login.
func (c *session) Authenticate(mechanism string) (sasl.Server, error) {
	if m := newMechanism(mechanism, c.Login, imapserver.ErrAuthFailed); m != nil {
		return m, nil
	}
	return nil, no("", "Mechanism not known")
}

// AppendLimit is the size of the largest mail.
func (c *session) AppendLimit() uint32 { return uint32(c.server.o.limits.mail) }

// Namespace has the own folders only.
func (c *session) Namespace() (*imap.NamespaceData, error) {
	return &imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Delim: delimiter}}}, nil
}

// Select opens a folder.
func (c *session) Select(name string, options *imap.SelectOptions) (*imap.SelectData, error) {
	defer c.lock()()
	box := c.account.folders[folderName(name)]
	if box == nil {
		return nil, errNoFolder
	}
	c.box, c.readOnly = box, options.ReadOnly
	c.view, c.top, c.found, c.change = nil, 0, nil, box.change
	data := &imap.SelectData{NumMessages: uint32(len(box.mails)), UIDNext: box.next, UIDValidity: box.validity}
	for _, m := range box.mails {
		c.view = append(c.view, told{m, m.change})
		c.top = m.uid
		if _, seen := m.flags[`\seen`]; !seen && data.FirstUnseenSeqNum == 0 {
			data.FirstUnseenSeqNum = uint32(len(c.view))
		}
	}
	data.Flags = append(flagList(systemFlags), flagList(box.keywords)...)
	if !c.readOnly {
		data.PermanentFlags = append(slices.Clone(data.Flags), imap.FlagWildcard)
	}
	box.sessions[c] = struct{}{}
	return data, nil
}

// Unselect closes the folder, if one is open.
func (c *session) Unselect() error {
	defer c.lock()()
	if c.box != nil {
		delete(c.box.sessions, c)
	}
	c.box, c.view, c.found = nil, nil, nil
	return nil
}

// validFolder says whether a folder can have that name, and returns the name.
func validFolder(name string) (string, error) {
	name = folderName(strings.TrimSuffix(name, string(delimiter)))
	if len(name) > 200 || strings.ContainsAny(name, "*%") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errBadName
	}
	if slices.Contains(strings.Split(name, string(delimiter)), "") {
		return "", errBadName
	}
	return name, nil
}

// Create makes a folder, and those above it that are missing.
func (c *session) Create(name string, options *imap.CreateOptions) error {
	name, err := validFolder(name)
	if err != nil {
		return err
	}
	defer c.lock()()
	if c.account.folders[name] != nil {
		return errExists
	}
	if err := c.makeAll(name); err != nil {
		return err
	}
	if options != nil && len(options.SpecialUse) <= 8 {
		c.account.folders[name].use = options.SpecialUse
	}
	return nil
}

// makeAll makes a folder and those above it, where they are missing, all or
// none (RFC 3501, section 6.3.3). The server's lock is held.
func (c *session) makeAll(name string) error {
	var missing []string
	for i, r := range name + string(delimiter) {
		if r == delimiter && c.account.folders[name[:i]] == nil {
			missing = append(missing, name[:i])
		}
	}
	if len(c.account.folders)+len(missing) > c.server.o.limits.folders {
		return errManyFolders
	}
	for _, n := range missing {
		c.server.stock.create(c.account, n)
	}
	return nil
}

// Delete removes a folder with its mails. Who has it selected sees the mails
// go.
func (c *session) Delete(name string) error {
	defer c.lock()()
	name = folderName(name)
	box := c.account.folders[name]
	if box == nil {
		return errNoFolder
	}
	if name == "INBOX" {
		return no(imap.ResponseCodeCannot, "INBOX stays")
	}
	c.server.stock.remove(box, func(*message) bool { return true })
	delete(c.account.folders, name)
	return nil
}

// Rename renames a folder and those beneath it. Of INBOX it moves the mails
// into a new folder (RFC 3501, section 6.3.5).
func (c *session) Rename(from, to string, _ *imap.RenameOptions) error {
	to, err := validFolder(to)
	if err != nil {
		return err
	}
	defer c.lock()()
	st, folders := &c.server.stock, c.account.folders
	from = folderName(from)
	box := folders[from]
	if box == nil {
		return errNoFolder
	}
	beneath := func(name, top string) (string, bool) { return strings.CutPrefix(name, top+string(delimiter)) }
	if _, inside := beneath(to, from); folders[to] != nil || inside {
		return errExists
	}
	if from == "INBOX" {
		if err := c.makeAll(to); err != nil {
			return err
		}
		dest, mails := folders[to], slices.Clone(box.mails)
		st.remove(box, func(*message) bool { return true })
		for _, m := range mails {
			st.put(dest, m.raw, m.flags, m.arrived)
		}
		return nil
	}
	renamed := map[string]string{from: to}
	for name := range folders {
		if rest, ok := beneath(name, from); ok {
			renamed[name] = to + string(delimiter) + rest
			if folders[renamed[name]] != nil || len(renamed[name]) > 200 {
				return errExists
			}
		}
	}
	if i := strings.LastIndexByte(to, delimiter); i > 0 {
		if err := c.makeAll(to[:i]); err != nil {
			return err
		}
	}
	for old, fresh := range renamed {
		folders[fresh] = folders[old]
		folders[fresh].name = fresh
		delete(folders, old)
	}
	return nil
}

// Subscribe marks a folder.
func (c *session) Subscribe(name string) error { return c.subscribe(name, true) }

// Unsubscribe takes the mark away.
func (c *session) Unsubscribe(name string) error { return c.subscribe(name, false) }

func (c *session) subscribe(name string, on bool) error {
	defer c.lock()()
	box := c.account.folders[folderName(name)]
	if box == nil {
		return errNoFolder
	}
	box.subscribed = on
	return nil
}

// List writes the folders that match one of the patterns.
func (c *session) List(w *imapserver.ListWriter, ref string, patterns []string, options *imap.ListOptions) error {
	if len(patterns) == 0 { // asks for the delimiter
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: delimiter})
	}
	for _, data := range c.list(ref, patterns, options) {
		if err := w.WriteList(&data); err != nil {
			return err
		}
	}
	return nil
}

func (c *session) list(ref string, patterns []string, options *imap.ListOptions) []imap.ListData {
	defer c.lock()()
	var list []imap.ListData
	for name, box := range c.account.folders {
		if options.SelectSubscribed && !box.subscribed || options.SelectSpecialUse && len(box.use) == 0 {
			continue
		}
		if !slices.ContainsFunc(patterns, func(p string) bool { return matchFolder(name, ref+p) }) {
			continue
		}
		data := imap.ListData{Mailbox: name, Delim: delimiter, Attrs: []imap.MailboxAttr{imap.MailboxAttrHasNoChildren}}
		for other := range c.account.folders {
			if strings.HasPrefix(other, name+string(delimiter)) {
				data.Attrs[0] = imap.MailboxAttrHasChildren
			}
		}
		if options.ReturnSubscribed && box.subscribed {
			data.Attrs = append(data.Attrs, imap.MailboxAttrSubscribed)
		}
		data.Attrs = append(data.Attrs, box.use...)
		if options.ReturnStatus != nil {
			data.Status = c.status(box)
		}
		list = append(list, data)
	}
	slices.SortFunc(list, func(a, b imap.ListData) int { return cmp.Compare(a.Mailbox, b.Mailbox) })
	return list
}

// matchFolder says whether a name matches a pattern in which * stands for
// anything and % for anything within one level (RFC 3501, section 6.3.8). It
// takes time in proportion to the product of the lengths: the library's own
// matcher takes for ever over a row of stars.
func matchFolder(name, pattern string) bool {
	if len(pattern) > 1000 {
		return false
	}
	if len(pattern) >= 5 && strings.EqualFold(pattern[:5], "INBOX") {
		pattern = "INBOX" + pattern[5:]
	}
	reach := make([]bool, len(name)+1) // reach[i]: the pattern so far matches name[:i]
	reach[0] = true
	for _, p := range []byte(pattern) {
		next := make([]bool, len(name)+1)
		for i := range next {
			switch {
			case p == '*' || p == '%':
				next[i] = reach[i] || i > 0 && next[i-1] && (p == '*' || name[i-1] != delimiter)
			case i > 0:
				next[i] = reach[i-1] && name[i-1] == p
			}
		}
		reach = next
	}
	return reach[len(name)]
}

// Status tells how a folder stands.
func (c *session) Status(name string, _ *imap.StatusOptions) (*imap.StatusData, error) {
	defer c.lock()()
	box := c.account.folders[folderName(name)]
	if box == nil {
		return nil, errNoFolder
	}
	return c.status(box), nil
}

func (c *session) status(box *mailbox) *imap.StatusData {
	mails, limit := uint32(len(box.mails)), c.AppendLimit()
	unseen, deleted := mails-uint32(box.with(`\seen`)), uint32(box.with(`\deleted`))
	size, deletedSize := box.size(), int64(0)
	for _, m := range box.mails {
		if _, ok := m.flags[`\deleted`]; ok {
			deletedSize += int64(len(m.raw))
		}
	}
	return &imap.StatusData{
		Mailbox: box.name, NumMessages: &mails, NumRecent: new(uint32), UIDNext: box.next, UIDValidity: box.validity,
		NumUnseen: &unseen, NumDeleted: &deleted, Size: &size, AppendLimit: &limit, DeletedStorage: &deletedSize,
	}
}

// Append puts a mail into a folder, as it is.
func (c *session) Append(name string, r imap.LiteralReader, options *imap.AppendOptions) (*imap.AppendData, error) {
	raw, release, err := c.server.read(r)
	defer release()
	if errors.Is(err, ErrFull) {
		return nil, errOverQuota
	} else if err != nil {
		return nil, err
	}
	defer c.lock()()
	st := &c.server.stock
	box := c.account.folders[folderName(name)]
	if box == nil {
		return nil, errTryCreate
	}
	flags, err := st.flagSet(box, options.Flags)
	if err != nil {
		return nil, errLimit
	}
	if !st.room(nil, 1, int64(len(raw))) {
		return nil, errOverQuota
	}
	arrived := options.Time
	if arrived.IsZero() {
		arrived = st.now()
	}
	m := st.put(box, bytes.Clone(raw), flags, arrived)
	if c.server.o.NoUIDPlus {
		return nil, nil
	}
	return &imap.AppendData{UID: m.uid, UIDValidity: box.validity}, nil
}

// news is one thing that a client has to be told.
type news struct {
	expunged uint32 // sequence number of a mail that went
	exists   uint32 // how many mails there are now
	flags    *flagNews
}

type flagNews struct {
	seq   uint32
	uid   imap.UID
	flags []imap.Flag
}

// catchUp works out what the client does not know yet, and counts it as told.
// Without expunges, sequence numbers stay as they are (RFC 3501, section
// 7.4.1). The server's lock is held.
func (c *session) catchUp(expunges bool) []news {
	if c.box == nil || c.change == c.box.change {
		return nil
	}
	var all []news
	left := false
	for i := len(c.view) - 1; i >= 0; i-- { // from the end, so that one number does not move the next
		switch {
		case !c.view[i].m.gone:
		case expunges:
			all = append(all, news{expunged: uint32(i) + 1})
			c.view = slices.Delete(c.view, i, i+1)
		default:
			left = true
		}
	}
	if fresh := c.box.since(c.top); len(fresh) > 0 {
		for _, m := range fresh {
			c.view = append(c.view, told{m, m.change})
			c.top = m.uid
		}
		all = append(all, news{exists: uint32(len(c.view))})
	}
	for i := range c.view {
		if m := c.view[i].m; !m.gone && c.view[i].change != m.change {
			c.view[i].change = m.change
			all = append(all, news{flags: &flagNews{uint32(i) + 1, m.uid, flagList(m.flags)}})
		}
	}
	if !left {
		c.change = c.box.change
	}
	return all
}

// Poll tells what happened since the last command.
func (c *session) Poll(w *imapserver.UpdateWriter, expunges bool) error {
	c.telling.Lock()
	defer c.telling.Unlock()
	unlock := c.lock()
	all := c.catchUp(expunges)
	unlock()
	for _, n := range all {
		var err error
		switch {
		case n.expunged != 0:
			err = w.WriteExpunge(n.expunged)
		case n.flags != nil:
			err = w.WriteMessageFlags(n.flags.seq, n.flags.uid, n.flags.flags)
		default:
			err = w.WriteNumMessages(n.exists)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Idle tells what happens as it happens, until stop is closed.
func (c *session) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	if c.server.o.NoIdle {
		return c.conn.Bye("IDLE is not offered here")
	}
	for {
		if err := c.Poll(w, true); err != nil {
			return err
		}
		select {
		case <-c.wake:
		case <-stop:
			return nil
		}
	}
}

// pick returns the places in the view of the mails in a set that are still
// there. The server's lock is held.
func (c *session) pick(set imap.NumSet) []int {
	ranges := c.ranges(set)
	_, byUID := set.(imap.UIDSet)
	var picked []int
	for i, t := range c.view {
		n := uint32(i) + 1
		if byUID {
			n = uint32(t.m.uid)
		}
		if !t.m.gone && ranges.contain(n) {
			picked = append(picked, i)
		}
	}
	return picked
}

// Expunge removes the mails that are marked as deleted, those in uids only when
// that is given. In a folder opened read-only it does nothing, which is what
// CLOSE needs (RFC 3501, section 6.4.2).
func (c *session) Expunge(w *imapserver.ExpungeWriter, uids *imap.UIDSet) error {
	c.telling.Lock()
	defer c.telling.Unlock()
	unlock := c.lock()
	if uids != nil && c.server.o.NoUIDPlus {
		unlock()
		return errNoUIDPlus
	}
	if c.readOnly {
		unlock()
		return nil
	}
	var only ranges
	if uids != nil {
		only = c.ranges(*uids)
	}
	c.server.stock.remove(c.box, func(m *message) bool {
		_, deleted := m.flags[`\deleted`]
		return deleted && (uids == nil || only.contain(uint32(m.uid)))
	})
	gone := c.takeGone()
	unlock()
	return tellGone(w, gone)
}

// takeGone takes the mails that went out of the view and returns the sequence
// numbers to tell, in that order. The server's lock is held.
func (c *session) takeGone() []uint32 {
	var gone []uint32
	for i := len(c.view) - 1; i >= 0; i-- {
		if c.view[i].m.gone {
			gone = append(gone, uint32(i)+1)
			c.view = slices.Delete(c.view, i, i+1)
		}
	}
	return gone
}

func tellGone(w interface{ WriteExpunge(seq uint32) error }, gone []uint32) error {
	for _, seq := range gone {
		if err := w.WriteExpunge(seq); err != nil {
			return err
		}
	}
	return nil
}

// Copy puts copies of mails into another folder, all or none. With no mail to
// copy there is nothing to say of their UIDs.
func (c *session) Copy(set imap.NumSet, dest string) (*imap.CopyData, error) {
	defer c.lock()()
	_, data, err := c.copy(set, dest)
	return data, err
}

func (c *session) copy(set imap.NumSet, dest string) ([]*message, *imap.CopyData, error) {
	st := &c.server.stock
	box := c.account.folders[folderName(dest)]
	if box == nil {
		return nil, nil, errTryCreate
	}
	var (
		copied []*message
		size   int64
		used   []imap.Flag
	)
	for _, i := range c.pick(set) {
		m := c.view[i].m
		copied = append(copied, m)
		size += int64(len(m.raw))
		used = append(used, flagList(m.flags)...)
	}
	if len(copied) == 0 {
		return nil, nil, nil
	}
	if !st.room(nil, len(copied), size) {
		return nil, nil, errOverQuota
	}
	if _, err := st.flagSet(box, used); err != nil {
		return nil, nil, errLimit
	}
	data := &imap.CopyData{UIDValidity: box.validity}
	for _, m := range copied {
		data.SourceUIDs.AddNum(m.uid)
		data.DestUIDs.AddNum(st.put(box, m.raw, m.flags, m.arrived).uid)
	}
	if c.server.o.NoUIDPlus {
		data = nil
	}
	return copied, data, nil
}

// Move moves mails into another folder, all or none (RFC 6851).
func (c movingSession) Move(w *imapserver.MoveWriter, set imap.NumSet, dest string) error {
	c.telling.Lock()
	defer c.telling.Unlock()
	unlock := c.lock()
	if c.readOnly {
		unlock()
		return errReadOnly
	}
	moved, data, err := c.copy(set, dest)
	if err != nil {
		unlock()
		return err
	}
	out := make(map[*message]bool, len(moved))
	for _, m := range moved {
		out[m] = true
	}
	c.server.stock.remove(c.box, func(m *message) bool { return out[m] })
	gone := c.takeGone()
	unlock()
	if data != nil {
		if err := w.WriteCopyData(data); err != nil {
			return err
		}
	}
	return tellGone(w, gone)
}

// Store changes flags.
func (c *session) Store(w *imapserver.FetchWriter, set imap.NumSet, change *imap.StoreFlags, _ *imap.StoreOptions) error {
	unlock := c.lock()
	if c.readOnly {
		unlock()
		return errReadOnly
	}
	flags, err := c.server.stock.flagSet(c.box, change.Flags)
	if err != nil {
		unlock()
		return errLimit
	}
	changed := false
	for _, i := range c.pick(set) {
		t := &c.view[i]
		upToDate := t.change == t.m.change
		if t.m.store(change.Op, flags) {
			changed = true
			if upToDate {
				t.change = t.m.change // the client is told below, or does not want to be
			}
		}
	}
	if change.Op != imap.StoreFlagsDel {
		for key, f := range flags {
			if !strings.HasPrefix(key, `\`) {
				c.box.keywords[key] = f
			}
		}
	}
	if changed {
		c.server.stock.touch(c.box)
	}
	unlock()
	if change.Silent {
		return nil
	}
	return c.Fetch(w, set, &imap.FetchOptions{Flags: true})
}

// store changes the flags of one mail and says whether that made a difference.
func (m *message) store(op imap.StoreFlagsOp, flags map[string]imap.Flag) bool {
	before := len(m.flags)
	fresh := make(map[string]imap.Flag, before+len(flags))
	if op != imap.StoreFlagsSet {
		for key, f := range m.flags {
			fresh[key] = f
		}
	}
	for key, f := range flags {
		if op == imap.StoreFlagsDel {
			delete(fresh, key)
		} else {
			fresh[key] = f
		}
	}
	if len(fresh) == before {
		same := true
		for key := range fresh {
			_, ok := m.flags[key]
			same = same && ok
		}
		if same {
			return false
		}
	}
	m.flags = fresh
	m.change++
	return true
}
