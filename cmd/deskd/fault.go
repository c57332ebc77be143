package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"

	"deskd/cmd/internal/page"
	"deskd/configs"
	"deskd/mailin"
	"deskd/mailout"
	"deskd/store"
)

// fault is an error of the world with the setting that leads there, and what
// to do about it. It is one line, and says nothing twice: a driver tells of
// each address that it tried.
type fault struct {
	setting string // "smtp.address"
	err     error
	remedy  string // empty: err tells it
}

func (e *fault) Error() string {
	var said []string
	for line := range strings.Lines(e.err.Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(said, line) {
			said = append(said, line)
		}
	}
	text := e.setting + ": " + strings.Join(said, " ")
	if e.remedy != "" {
		text += "; " + e.remedy
	}
	return text
}

func (e *fault) Unwrap() error { return e.err }

// listen takes the page's address, which stands after setting. It comes before
// anything is written, so that a second daemon started by mistake changes
// nothing.
func listen(setting, addr, where string, remote bool) (net.Listener, error) {
	ln, err := page.Listen(addr, remote)
	switch {
	case err == nil:
		return ln, nil
	case !errors.As(err, new(*net.OpError)):
		return nil, &usageError{fmt.Errorf("%s: %w", setting, err)}
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &fault{setting, err, "another program has it; write another port " + where}
	}
	return nil, &fault{setting, err, "write another port " + where}
}

// databaseFault is what opening the database came to.
func databaseFault(s *configs.Settings, err error) error {
	remedy := "look whether the file is there and this user's, and that no other deskd has it"
	if strings.Contains(s.Database.Reveal(), "://") {
		remedy = "look whether the database runs, and at host, port, name, user and password in the URL"
	}
	if errors.As(err, new(*store.Schema)) || errors.As(err, new(*store.WrongKey)) { // these bring it
		remedy = ""
	}
	return &fault{"database", err, remedy}
}

// mailboxFault is why a mailbox cannot be watched; most of mailin's errors
// bring their remedy.
func mailboxFault(mailbox string, err error) error {
	setting, remedy := "server", ""
	switch {
	case errors.As(err, new(*mailin.LoginRefused)):
		setting = "password"
	case errors.As(err, new(*mailin.FolderMissing)):
		setting = "folder"
	case errors.As(err, new(*mailin.NoTLS)):
		setting = "security"
	case !errors.As(err, new(*mailin.Unreachable)) && !errors.As(err, new(*mailin.BadCertificate)) &&
		!errors.As(err, new(*mailin.Unavailable)) && !errors.As(err, new(*mailin.Preauth)):
		remedy = "look at the server's name and port, and at security"
	}
	return &fault{mailbox + "." + setting, err, remedy}
}

// smtpFault is why the mail server does not take our mail.
func smtpFault(err error) error {
	held, _ := errors.AsType[*mailout.Held](err)
	switch phase := cmp.Or(held, &mailout.Held{}).Phase; phase {
	case "AUTH":
		return &fault{"smtp.password", err, "check smtp.username and the password, and that the account may send"}
	case "TLS handshake", "STARTTLS": // these bring their remedy
		return &fault{"smtp.address", err, ""}
	case "greeting", "EHLO":
		return &fault{"smtp.address", err, "ask who runs the server why it does not want this machine"}
	}
	return &fault{"smtp.address", err, "look at the server's name and port, at smtp.security, and at firewalls between"}
}
