package mailin

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// Found is what Check found at a mail server.
type Found struct {
	Server       string
	Security     Security
	TLS          string    // "TLS 1.3"; empty without protection
	Expires      time.Time // of the server's certificate; zero without protection
	Capabilities []string  // after login, sorted
	Idle         bool      // new mail is heard of at once, else after Config.Poll
	Move         bool      // mail is filed in one step
	UIDPlus      bool      // without it and Move, originals stay in the folder under a keyword
	Validity     uint32    // UIDVALIDITY of the folder; 0: it has none
	Mails        uint32    // in the folder
	Folders      []FoundFolder
	Warnings     []string // what works, and could be better; how to mend it
}

// FoundFolder is one of the folders that mail is filed to.
type FoundFolder struct {
	Name   string // on the server
	Exists bool   // else it is made at the first start
}

// Check connects as Run does, looks around and leaves. Nothing is changed on
// the server. Whatever keeps Run from working comes as an error that says how
// to mend it: *Unreachable, *BadCertificate, *NoTLS, *Preauth, *Unavailable,
// *LoginRefused, *FolderMissing and others. Found holds what was learned until
// then.
func (s *Source) Check(ctx context.Context) (found Found, err error) {
	found = Found{Server: s.cfg.Server, Security: s.cfg.Security}
	if err := s.cfg.Validate(); err != nil {
		return found, err
	}
	if _, err := s.cfg.tls(); err != nil {
		return found, err
	}
	c, err := s.connect(ctx, false)
	if err != nil {
		return found, err
	}
	defer func() { c.logout(ctx) }()
	if c.state != nil {
		found.TLS = tls.VersionName(c.state.Version)
		if len(c.state.PeerCertificates) > 0 {
			found.Expires = c.state.PeerCertificates[0].NotAfter
		}
	}
	for cap := range c.caps {
		found.Capabilities = append(found.Capabilities, clean(string(cap)))
	}
	slices.Sort(found.Capabilities)
	found.Idle, found.Move, found.UIDPlus = c.caps.Has(imap.CapIdle), c.caps.Has(imap.CapMove), c.caps.Has(imap.CapUIDPlus)
	if err := c.namespace(ctx); err != nil {
		return found, err
	}
	for _, name := range []string{s.cfg.Done, s.cfg.Quarantine} {
		names := c.candidates(name)
		have, err := c.find(ctx, names)
		if err != nil {
			return found, err
		}
		f := FoundFolder{Name: have, Exists: have != ""}
		if !f.Exists {
			f.Name = names[0]
		}
		found.Folders = append(found.Folders, f)
	}
	data, err := c.open(ctx, true)
	if err != nil {
		return found, err
	}
	found.Validity, found.Mails = data.UIDValidity, data.NumMessages
	found.Warnings = s.warnings(found)
	return found, nil
}

func (s *Source) warnings(f Found) []string {
	var w []string
	if !f.Idle {
		w = append(w, fmt.Sprintf("the server has no IDLE: new mail is looked for every %s (poll)", s.cfg.Poll))
	}
	switch {
	case f.Move:
	case f.UIDPlus:
		w = append(w, "the server has no MOVE: mail is filed by copying and removing, which takes longer")
	default:
		w = append(w, fmt.Sprintf("the server has neither MOVE nor UIDPLUS: mail is copied, and the originals stay in %s with the keyword %s", s.cfg.Folder, filedMark))
	}
	if f.Validity == 0 {
		w = append(w, "the folder has no UIDVALIDITY: mails are known by their content alone")
	}
	if !f.Expires.IsZero() && time.Until(f.Expires) < 14*24*time.Hour {
		w = append(w, "the server's certificate expires on "+f.Expires.Format(time.DateOnly)+"; renew it")
	}
	if s.cfg.Security == Plain {
		w = append(w, "the connection is not protected (security: none); it stays on this machine")
	}
	for _, folder := range f.Folders {
		if !folder.Exists {
			w = append(w, "the folder "+strings.TrimSpace(folder.Name)+" is not there yet; the first start makes it")
		}
	}
	return w
}
