package demomail

import (
	"errors"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// stock is all that the server holds. Its methods and those of account and
// mailbox are called with the server's lock held.
type stock struct {
	limits   limits
	now      func() time.Time
	accounts map[string]*account // by address
	bytes    int64               // of all mails and of those on their way in
	mails    int
	validity uint32        // the last UIDVALIDITY given
	changed  chan struct{} // closed and replaced at every change
	closed   bool
}

func newStock(l limits, now func() time.Time) stock {
	return stock{limits: l, now: now, accounts: map[string]*account{}, changed: make(chan struct{})}
}

// account is the folders of one address.
type account struct {
	address string
	folders map[string]*mailbox // by name
}

func (a *account) inbox() *mailbox { return a.folders["INBOX"] }

// mailbox is one folder.
type mailbox struct {
	name       string
	validity   uint32
	next       imap.UID
	mails      []*message // by rising UID
	keywords   map[string]imap.Flag
	use        []imap.MailboxAttr
	subscribed bool
	change     uint64 // counts whatever happens here
	sessions   map[*session]struct{}
}

// message is one mail in one folder.
type message struct {
	uid     imap.UID
	raw     []byte // never changed, shared between copies
	arrived time.Time
	flags   map[string]imap.Flag // by their lower case
	change  uint64               // counts the changes of flags
	gone    bool                 // no longer in the folder; sessions may not know yet
}

// find returns a folder, or nil.
func (st *stock) find(addr, folder string) *mailbox {
	if a := st.accounts[addr]; a != nil {
		return a.folders[folderName(folder)]
	}
	return nil
}

// open returns the account of an address and makes it when it is new. The
// caller has asked for room.
func (st *stock) open(addr string) *account {
	a := st.accounts[addr]
	if a == nil {
		a = &account{address: addr, folders: map[string]*mailbox{}}
		st.accounts[addr] = a
		st.create(a, "INBOX").subscribed = true
	}
	return a
}

// create makes a folder. Its UIDVALIDITY is above all earlier ones, those of an
// earlier run of the server among them: a client that remembers UIDs must not
// take the mails of this run for those of the last.
func (st *stock) create(a *account, name string) *mailbox {
	st.validity = max(st.validity+1, uint32(st.now().UnixMilli()/10), 1)
	box := &mailbox{
		name: name, validity: st.validity, next: 1,
		keywords: map[string]imap.Flag{}, sessions: map[*session]struct{}{},
	}
	a.folders[name] = box
	return box
}

// room says whether so many more mails and bytes fit, in accounts that may have
// to be made.
func (st *stock) room(accounts []string, mails int, bytes int64) bool {
	fresh := map[string]bool{}
	for _, addr := range accounts {
		if st.accounts[addr] == nil {
			fresh[addr] = true
		}
	}
	return !st.closed && len(st.accounts)+len(fresh) <= st.limits.accounts &&
		st.mails+mails <= st.limits.mails && st.bytes+bytes <= st.limits.total
}

// reserve counts bytes that are on their way in, and says no when there is no
// room for them.
func (st *stock) reserve(n int64) bool {
	if !st.room(nil, 0, n) {
		return false
	}
	st.bytes += n
	return true
}

// put adds a mail to a folder and wakes who watches it. The caller has asked
// for room.
func (st *stock) put(box *mailbox, raw []byte, flags map[string]imap.Flag, arrived time.Time) *message {
	m := &message{uid: box.next, raw: raw, arrived: arrived, flags: maps.Clone(flags)}
	if m.flags == nil {
		m.flags = map[string]imap.Flag{}
	}
	for key, f := range m.flags {
		if !strings.HasPrefix(key, `\`) {
			box.keywords[key] = f
		}
	}
	box.next++
	box.mails = append(box.mails, m)
	st.mails++
	st.bytes += int64(len(raw))
	st.touch(box)
	return m
}

// remove takes mails out of a folder.
func (st *stock) remove(box *mailbox, out func(*message) bool) {
	removed := false
	box.mails = slices.DeleteFunc(box.mails, func(m *message) bool {
		if !out(m) {
			return false
		}
		m.gone, removed = true, true
		st.mails--
		st.bytes -= int64(len(m.raw))
		return true
	})
	if removed {
		st.touch(box)
	}
}

// touch wakes the sessions that have the folder selected, and every Wait.
func (st *stock) touch(box *mailbox) {
	box.change++
	for s := range box.sessions {
		select {
		case s.wake <- struct{}{}:
		default: // woken already
		}
	}
	if !st.closed {
		close(st.changed)
		st.changed = make(chan struct{})
	}
}

// close ends every Wait. What is there stays readable.
func (st *stock) close() {
	if !st.closed {
		st.closed = true
		close(st.changed)
	}
}

// since returns the mails with a UID above uid.
func (box *mailbox) since(uid imap.UID) []*message {
	return box.mails[sort.Search(len(box.mails), func(i int) bool { return box.mails[i].uid > uid }):]
}

func (box *mailbox) size() int64 {
	var n int64
	for _, m := range box.mails {
		n += int64(len(m.raw))
	}
	return n
}

func (box *mailbox) with(flag string) int {
	n := 0
	for _, m := range box.mails {
		if _, ok := m.flags[flag]; ok {
			n++
		}
	}
	return n
}

// systemFlags are the flags that a client can set (RFC 3501, section 2.3.2), in
// the way they are written.
var systemFlags = map[string]imap.Flag{
	`\seen`: imap.FlagSeen, `\answered`: imap.FlagAnswered, `\flagged`: imap.FlagFlagged,
	`\deleted`: imap.FlagDeleted, `\draft`: imap.FlagDraft,
}

// errFlags says that a folder cannot take such flags.
var errFlags = errors.New("flags not known or too many")

// flagSet reads flags that a client sent. A keyword keeps the letters that it
// had when it was first used in the folder. `\Recent` is passed over: it is the
// server's, and this one does not use it.
func (st *stock) flagSet(box *mailbox, flags []imap.Flag) (map[string]imap.Flag, error) {
	set := map[string]imap.Flag{}
	fresh := 0
	for _, f := range flags {
		key := strings.ToLower(string(f))
		if key == `\recent` {
			continue
		}
		known, ok := systemFlags[key]
		if !ok && (strings.HasPrefix(key, `\`) || len(key) > 100) {
			return nil, errFlags
		}
		if !ok {
			if known, ok = box.keywords[key]; !ok {
				known = f
				if _, again := set[key]; !again {
					fresh++
				}
			}
		}
		if _, again := set[key]; !again {
			set[key] = known
		}
	}
	if len(box.keywords)+fresh > st.limits.keywords {
		return nil, errFlags
	}
	return set, nil
}

// flagList returns flags in a fixed order.
func flagList(set map[string]imap.Flag) []imap.Flag {
	list := make([]imap.Flag, 0, len(set))
	for _, key := range slices.Sorted(maps.Keys(set)) {
		list = append(list, set[key])
	}
	return list
}

// folderName returns the name under which a folder is kept: INBOX is the one
// name that any case will do for (RFC 3501, section 5.1), also above others.
func folderName(s string) string {
	top, rest, below := strings.Cut(s, string(delimiter))
	switch {
	case s == "" || strings.EqualFold(s, "INBOX"):
		return "INBOX"
	case below && strings.EqualFold(top, "INBOX"):
		return "INBOX" + string(delimiter) + rest
	}
	return s
}
