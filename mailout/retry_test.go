package mailout

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"deskd/mailout/mailouttest"
)

func TestF34_ScheduleIsQuickAtFirstAndPatientLater(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	now, giveUp := created, time.Time{}
	var waits []time.Duration
	for attempt := 1; ; attempt++ {
		due, ok := Next(attempt, created, now, giveUp, 0)
		if !ok {
			break
		}
		if due.Before(now) || due.After(now.Add(4*time.Hour)) {
			t.Fatalf("attempt %d: due %v after %v", attempt, due.Sub(now), now.Sub(created))
		}
		waits = append(waits, due.Sub(now))
		now = due
	}
	for i, want := range []time.Duration{1, 5, 15, 30, 60, 120, 240, 240} {
		if waits[i] != want*time.Minute {
			t.Errorf("wait %d is %v, want %v", i+1, waits[i], want*time.Minute)
		}
	}
	if got := now.Sub(created); got != GiveUpAfter {
		t.Errorf("given up after %v, want %v", got, GiveUpAfter)
	}
}

func TestF34_LaterWaitsAreSpread(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		attempt int
		rnd     float64
		want    time.Duration
	}{
		{0, 0.5, time.Minute},
		{1, 0.9, time.Minute},
		{5, 0.9, time.Hour},
		{6, 0, 2 * time.Hour},
		{7, 0.5, 3*time.Hour + 30*time.Minute},
		{7, 1, 3 * time.Hour},
		{7, 7, 3 * time.Hour},
		{900, 0, 4 * time.Hour},
	} {
		due, ok := Next(c.attempt, created, created, time.Time{}, c.rnd)
		if got := due.Sub(created); !ok || got != c.want {
			t.Errorf("Next(%d, rnd %v) waits %v, want %v", c.attempt, c.rnd, got, c.want)
		}
	}
	if _, ok := Next(8, created, created.Add(GiveUpAnswerAfter), created.Add(GiveUpAnswerAfter), 0); ok {
		t.Error("an acknowledgement is tried after a day")
	}
	if due, ok := Next(7, created, created, created.Add(time.Hour), 0); !ok || due != created.Add(time.Hour) {
		t.Errorf("the last attempt is due %v", due)
	}
	if _, ok := Next(1, created.Add(24*time.Hour), created, time.Time{}, 0); !ok { // the clock went back
		t.Error("given up because the clock went back")
	}
}

func TestF34_GreylistedMailArrivesByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opened := time.Now().Add(10 * time.Minute)
		s := mailouttest.NewServer(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
			if e.Step == mailouttest.RCPT && time.Now().Before(opened) {
				return mailouttest.Do{Reply: "451 4.7.1 greylisted, come back later"}
			}
			return mailouttest.Do{}
		}})
		m := mailer(t, Config{})
		m.dial = func(context.Context, string, string) (net.Conn, error) { return s.Pipe(), nil }
		created := time.Now()
		for attempt := 1; ; attempt++ {
			_, err := m.Send(t.Context(), envelope("ann@example.com"))
			if err == nil {
				break
			}
			due, ok := Next(attempt, created, time.Now(), time.Time{}, 0)
			if !ok {
				t.Fatal("given up")
			}
			time.Sleep(time.Until(due))
		}
		if took := time.Since(created); took != 21*time.Minute {
			t.Errorf("arrived after %v, want 21 minutes", took)
		}
	})
}

func TestF29_ClockThatJumpsAheadGivesNothingUp(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	now := created.AddDate(10, 0, 0)
	attempt := 1
	for ; ; attempt++ {
		due, ok := Next(attempt, created, now, time.Time{}, 0)
		if !ok {
			break
		}
		if wait := due.Sub(now); wait < time.Minute || wait > 4*time.Hour {
			t.Fatalf("attempt %d: waits %v", attempt, wait)
		}
		now = due
	}
	if attempt != 8 {
		t.Errorf("given up after %d attempts, want 8", attempt)
	}
}
