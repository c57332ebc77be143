// Command deskd is an IT service desk that lives in a mailbox: it turns the
// mails of a support mailbox into triaged tickets, routes them to teams, and
// lets technicians work by replying.
//
// Read run.go for what the daemon is made of, then cmd/internal/desk for the
// path of a message, then triage for what a message means.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"deskd/configs"
)

// version is set by the release build.
var version = ""

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage or settings: nothing was done
)

// cli is the command line: what kong reads is what the help says.
type cli struct {
	Demo       demoCmd       `cmd:"" help:"Try it: starts a mail server in memory and a desk beside it."`
	Run        runCmd        `cmd:"" help:"Run the desk."`
	Check      checkCmd      `cmd:"" help:"Check settings, mailboxes, mail server and database, and say how to mend what is wrong."`
	Explain    explainCmd    `cmd:"" help:"Say what would become of a mail, and why."`
	Tickets    ticketsCmd    `cmd:"" help:"List tickets."`
	Show       showCmd       `cmd:"" help:"Show one ticket with its timeline."`
	Why        whyCmd        `cmd:"" help:"Say what became of a mail, or of all mails of a ticket, and why."`
	SignIn     signInCmd     `cmd:"" help:"Make a link that signs somebody in on the page, without a mail."`
	Set        setCmd        `cmd:"" help:"Command a ticket from here when mail is down."`
	Quarantine quarantineCmd `cmd:"" help:"Look at mails that could not be handled, try again, or drop them."`
	Outbox     outboxCmd     `cmd:"" help:"List mails that are to go out, send them again, or cancel them."`
	Backup     backupCmd     `cmd:"" help:"Copy the database while the desk runs."`
	Audit      auditCmd      `cmd:"" help:"Look whether the record of what was done is whole."`
	Version    versionCmd    `cmd:"" help:"Say which version this is."`
}

// env is what a command works with besides its own flags.
type env struct {
	ctx context.Context
	out io.Writer
	err io.Writer
}

func main() {
	umask()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the next signal ends the process at once
	os.Exit(deskd(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// deskd runs one command and gives its exit code.
func deskd(ctx context.Context, args []string, out, errs io.Writer) int {
	exited := -1
	parser, err := kong.New(&cli{},
		kong.Name("deskd"), kong.Description("An IT service desk that lives in a mailbox."),
		kong.Writers(out, errs), kong.Exit(func(code int) { exited = code }),
	)
	if err != nil {
		fmt.Fprintln(errs, "deskd:", err)
		return exitUsage
	}
	k, err := parser.Parse(args)
	if exited >= 0 { // --help was answered
		return exited
	}
	if err != nil {
		fmt.Fprintf(errs, "deskd: %v\nTry: deskd --help\n", err)
		return exitUsage
	}
	err = k.Run(env{ctx, out, errs})
	var invalid *configs.Invalid
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &invalid):
		fmt.Fprintf(errs, "deskd: the settings are not right, and nothing was started:\n%v\n", err)
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintln(errs, "deskd:", err)
		return exitUsage
	}
	fmt.Fprintln(errs, "deskd:", err)
	return exitFailed
}

// usageError is about what was asked, not about how it went.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

type versionCmd struct{}

// Run prints the version and what the program was built with.
func (versionCmd) Run(e env) error {
	_, err := fmt.Fprintln(e.out, "deskd", versionText())
	return err
}

// versionText is the release's version, else the commit it was built from.
func versionText() string {
	info, ok := debug.ReadBuildInfo()
	v := version
	if v == "" {
		v = "development"
		if ok {
			for _, s := range info.Settings {
				if s.Key == "vcs.revision" && len(s.Value) >= 12 {
					v = s.Value[:12]
				}
			}
		}
	}
	if ok {
		v += " (" + info.GoVersion + ")"
	}
	return v
}
