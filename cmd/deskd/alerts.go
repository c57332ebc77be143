package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"deskd/cmd/internal/desk"
	"deskd/cmd/internal/flow"
	"deskd/configs"
	"deskd/mailout"
	"deskd/store"
	"deskd/triage"
)

// flowReader reads whether mail flows.
func flowReader(db *store.Store, mailer *mailout.Mailer) flow.Reader {
	return flow.Reader{Source: db, Held: func() string { return held(mailer) }, Kept: db.Standing}
}

// held says why nothing is sent at present; empty when mail goes out.
func held(mailer *mailout.Mailer) string {
	if st := mailer.Standing(); st.Held {
		return st.Err
	}
	return ""
}

// watchman says whom the settings want told when mail does not flow. The mailer
// that it gives is a second one for alerts alone; it is to be closed.
func watchman(s *configs.Settings, db *store.Store, rules *triage.Rules, mailer *mailout.Mailer, log *slog.Logger) (desk.Watchman, *mailout.Mailer, error) {
	w := desk.Watchman{State: flowReader(db, mailer).Read, After: s.Alerts.After}
	alerts, err := mailout.New(s.Alerts.Mailout(s), identity(s, rules), log)
	if err != nil {
		return w, nil, s.Complain("alerts.smtp", err.Error(), err)
	}
	if len(s.Alerts.Mail) > 0 {
		w.Ways = append(w.Ways, desk.Way{Name: "mail", Tell: mailAlarm(s.Alerts, alerts)})
	}
	if s.Alerts.Webhook != "" {
		w.Ways = append(w.Ways, desk.Way{Name: "webhook", Tell: postAlarm(s)})
	}
	return w, alerts, nil
}

// mailAlarm hands alarms over to a mail server at once: the outbox may be what
// does not work.
func mailAlarm(c configs.AlertConfig, m *mailout.Mailer) func(context.Context, desk.Alarm) error {
	return func(ctx context.Context, a desk.Alarm) error {
		o := mailout.Occasion{Kind: mailout.Alert, At: time.Now().UTC(), From: c.From}
		for _, part := range []mailout.Section{{Title: "Wrong at present:", Lines: a.Wrong}, {Title: "Mended since:", Lines: a.Mended}} {
			if len(part.Lines) > 0 {
				o.Sections = append(o.Sections, part)
			}
		}
		var failed []error
		for _, to := range c.Mail {
			o.Key, o.To = fmt.Sprintf("alert:%d/%s", o.At.UnixNano(), to), []triage.Address{{Addr: to}}
			mail, err := m.Compose(o)
			if err == nil {
				_, err = m.Send(ctx, mailout.Envelope{From: c.From, To: to, Data: mail.Bytes, Attempt: 1})
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("to %s: %w", to, err))
			}
		}
		if len(failed) < len(c.Mail) { // somebody knows
			return nil
		}
		return errors.Join(failed...)
	}
}
