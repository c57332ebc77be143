package desk

import (
	"fmt"
	"testing"
	"time"
)

// TestF29_OwnClockDecidesAndDateIsOnlyShown hands in mails whose Date is far
// off, and has the clock jump between them.
func TestF29_OwnClockDecidesAndDateIsOnlyShown(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		dated := func(subject string, date time.Time) string {
			return vouched(letter(ann, subject, "x", "Date: "+date.Format(time.RFC1123Z)))
		}
		now := o.clock.now()
		o.deliver(dated("from the future", now.AddDate(10, 0, 0)), dated("from the past", now.AddDate(-10, 0, 0)), letter(ann, "of no time", "x", "Date: yesterday"))
		for i, tk := range o.tickets() {
			if !tk.CreatedAt.Equal(now) {
				t.Errorf("ticket %d was opened at %v, want %v", i, tk.CreatedAt, now)
			}
		}
		if got := len(o.rows()); got == 0 || o.rows()[0].Kind != "acknowledgement" {
			t.Errorf("%d mails follow; want an acknowledgement whatever the Date", got)
		}
		for i, jump := range []time.Duration{10 * 365 * 24 * time.Hour, -20 * 365 * 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
			o.clock.add(jump)
			before := o.last().Ticket.Number
			o.deliver(vouched(letter(ann, fmt.Sprintf("jump %d of %s", i, jump), "x")))
			if d := o.last(); d.Ticket.Number <= before || !d.Ticket.CreatedAt.Equal(o.clock.now()) || len(d.Events) == 0 {
				t.Errorf("after a jump of %v: ticket %d at %v", jump, d.Ticket.Number, d.Ticket.CreatedAt)
			}
		}
		o.wantFates("new_ticket new_ticket new_ticket new_ticket new_ticket new_ticket")
	}, quiet)
}
