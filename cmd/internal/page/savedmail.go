package page

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"deskd/store"
	"deskd/triage/ticket"
)

// savedMails is a list of mails as CSV, from its beginning.
func (p *page) savedMails(r *http.Request, _ time.Time) (saved, error) {
	f, fate, err := intakeFilter(r)
	if err != nil {
		return saved{}, err
	}
	f.Before, f.Limit = 0, savedBatch
	name := "mail"
	if fate != "" {
		name += "-" + fate
	}
	return saved{
		name: name,
		head: []string{
			"Mail", "Arrived", "From", "Subject", "Mailbox", "Fate", "Reason", "Ticket", "Kind", "Size", "Failures", "Last error",
			"Message-ID", "Seen", "Decided", "Filed",
		},
		batch: func(ctx context.Context) ([][]string, error) {
			mails, err := p.source.ListIntakes(ctx, f)
			if err != nil {
				return nil, fmt.Errorf("list mails: %w", err)
			}
			rows := make([][]string, len(mails))
			for i, in := range mails {
				rows[i] = []string{
					strconv.FormatInt(in.ID, 10), moment8601(in.ArrivedAt), in.From, in.Subject, in.Mailbox, string(in.Fate), in.Reason,
					p.ticketCell(in.Ticket), in.Kind, strconv.FormatInt(in.Size, 10), strconv.Itoa(in.Failures), in.LastError,
					in.MessageID, moment8601(in.SeenAt), moment8601(in.DecidedAt), moment8601(in.FiledAt),
				}
				f.Before = in.ID
			}
			return rows, nil
		},
	}, nil
}

// savedOutbox is the outbox as CSV, from its beginning.
func (p *page) savedOutbox(r *http.Request, _ time.Time) (saved, error) {
	f, err := outboxFilter(r)
	if err != nil {
		return saved{}, err
	}
	f.Before, f.Limit = 0, savedBatch
	name := "outbox"
	if f.State != "" {
		name += "-" + string(f.State)
	}
	return saved{
		name: name,
		head: []string{
			"Row", "Recipient", "Subject", "Kind", "State", "Attempts", "Created", "Sent", "Due", "Answer", "Ticket", "Message-ID",
		},
		batch: func(ctx context.Context) ([][]string, error) {
			list, err := p.source.ListOutbox(ctx, f)
			if err != nil {
				return nil, fmt.Errorf("list the outbox: %w", err)
			}
			rows := make([][]string, len(list))
			for i, row := range list {
				due := row.Due
				if row.State != store.Queued && row.State != store.Uncertain {
					due = time.Time{} // the end of a lease
				}
				rows[i] = []string{
					strconv.FormatInt(row.ID, 10), row.Recipient, row.Subject, row.Kind, string(row.State), strconv.Itoa(row.Attempts),
					moment8601(row.CreatedAt), moment8601(row.SentAt), moment8601(due), row.Answer, p.ticketCell(row.Ticket), row.MessageID,
				}
				f.Before = row.ID
			}
			return rows, nil
		},
	}, nil
}

// ticketCell is the tag of a ticket; empty for none.
func (p *page) ticketCell(n ticket.Number) string {
	if n == 0 {
		return ""
	}
	return p.tag(n)
}
