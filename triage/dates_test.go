package triage

import (
	"testing"
	"time"
)

func TestDatesInWordsAreReadAsPeopleMeanThem(t *testing.T) {
	t.Parallel()
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Skip(err)
	}
	now := time.Date(2026, 11, 25, 14, 30, 0, 0, vienna) // a Wednesday
	for in, want := range map[string]string{
		"friday": "2026-11-27 09:00", "fri": "2026-11-27 09:00", "next friday": "2026-11-27 09:00", "on friday at 17:00": "2026-11-27 17:00",
		"wednesday": "2026-12-02 09:00", "today": "2026-11-25 17:00", "today 16:00": "2026-11-25 16:00", "tomorrow": "2026-11-26 09:00",
		"tomorrow 9:00": "2026-11-26 09:00", "tomorrow 9am": "2026-11-26 09:00", "tomorrow at 5 pm": "2026-11-26 17:00", "tomorrow 12am": "2026-11-26 00:00",
		"tomorrow 12pm": "2026-11-26 12:00", "tomorrow 17h": "2026-11-26 17:00", "in 3 days": "2026-11-28 14:30", "in 2 hours": "2026-11-25 16:30",
		"in a week": "2026-12-02 14:30", "in 30 minutes": "2026-11-25 15:00", "next week": "2026-11-30 09:00", "2026-12-01": "2026-12-01 09:00",
		"2026-12-01 17:00": "2026-12-01 17:00", "1.12.2026": "2026-12-01 09:00", "1.12.": "2026-12-01 09:00", "1.2.": "2027-02-01 09:00",
		"1 dec": "2026-12-01 09:00", "dec 1": "2026-12-01 09:00", "december 1st 2026, 8:15": "2026-12-01 08:15", "25 nov": "",
		"31 march": "2027-03-31 09:00", "2027-03-28 12:00": "2027-03-28 12:00",
		// What is none, has been, or may be read in two ways.
		"yesterday": "", "today 9:00": "", "2026-11-24": "", "2026-02-30": "", "31 april": "", "12/01/2026": "", "01/12": "", "soon": "",
		"to rain": "", "in days": "", "in 0 days": "", "in -1 days": "", "in 99999 days": "", "2126-01-01": "", "friday 25:00": "", "friday 9": "",
		"9:00": "", "13pm": "", "": "", "at": "", "next": "", "next month": "", "friday friday": "", "1.13.2026": "", "in 3 fridays": "",
	} {
		at, ok := date(in, now)
		got := ""
		if ok {
			got = at.Format("2006-01-02 15:04")
		}
		if got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func FuzzDate(f *testing.F) {
	for _, s := range []string{"friday", "tomorrow 9:00", "in 3 days", "2026-12-01 17:00", "1 dec 2026", "1.12.", "12pm", "next week"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 25, 14, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := date(s, now)
		if !ok {
			return
		}
		if !at.After(now) {
			t.Errorf("%q has been: %v", s, at)
		}
		// What deskd writes it reads as the same.
		if again, ok := date(at.Format("2006-01-02 15:04"), now); !ok || !again.Equal(at.Truncate(time.Minute)) {
			t.Errorf("%q is %v, written and read again %v", s, at, again)
		}
	})
}
