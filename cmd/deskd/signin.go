package main

import (
	"context"
	"fmt"

	"deskd/cmd/internal/page"
	"deskd/configs"
	"deskd/store"
	"deskd/triage"
)

type signInCmd struct {
	Address string `arg:"" help:"Whom to sign in: an administrator, a technician or a requester."`
	Config  string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
}

// Run prints a link that signs somebody in on the page, for whoever cannot get
// the mail with it.
func (c *signInCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	if s.Page.Listen == "" {
		return s.Complain("page.listen", "there is no page to sign in on; write an address such as 127.0.0.1:8080", nil)
	}
	secret, err := secretOf(s)
	if err != nil {
		return err
	}
	rules, err := triage.New(s.Policy(secret))
	if err != nil {
		return s.Complain("", err.Error(), err)
	}
	db, err := writer(e, s)
	if err != nil {
		return err
	}
	defer db.Close()
	link, err := linkAtHand(e.ctx, db, rules, pageURL(s), c.Address)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "%s\nGood once, and for 15 minutes.\n", link)
	return err
}

// linkMaker makes a link that signs somebody in.
type linkMaker func(addr string) (string, error)

// linkAtHand makes a link for somebody who has something to see on the page.
func linkAtHand(ctx context.Context, db *store.Store, rules *triage.Rules, url, address string) (string, error) {
	addr := rules.Canonical(address)
	part, err := db.HasPart(ctx, rules.Addresses(addr))
	if err != nil {
		return "", err
	}
	if !part && !rules.Works(addr) {
		return "", &usageError{fmt.Errorf("%s is neither an administrator nor on a roster in the settings, and has no ticket: there is nothing to see", printable(address))}
	}
	return page.LinkAtHand(ctx, db, url, addr)
}

// pageURL is where browsers find the page.
func pageURL(s *configs.Settings) string {
	switch {
	case s.Page.URL != "":
		return s.Page.URL
	case s.Page.CertFile != "":
		return "https://" + s.Page.Listen
	}
	return "http://" + s.Page.Listen
}
