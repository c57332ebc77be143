package triage

import (
	"strconv"
	"strings"
	"time"
)

// dateWords says in errors how a date may be written.
const dateWords = `a date to come, as in friday, tomorrow 9:00, in 3 days, 2026-12-01 17:00; "none" takes it away`

// Hours at which a reminder comes when the date names none.
const (
	morning = 9
	evening = 17 // of today
)

// farthest is how many days ahead a date may lie.
const farthest = 3 * 366

var weekdays = map[string]time.Weekday{
	"sun": time.Sunday, "sunday": time.Sunday, "mon": time.Monday, "monday": time.Monday,
	"tue": time.Tuesday, "tues": time.Tuesday, "tuesday": time.Tuesday, "wed": time.Wednesday, "wednesday": time.Wednesday,
	"thu": time.Thursday, "thur": time.Thursday, "thurs": time.Thursday, "thursday": time.Thursday,
	"fri": time.Friday, "friday": time.Friday, "sat": time.Saturday, "saturday": time.Saturday,
}

var months = map[string]time.Month{
	"jan": time.January, "january": time.January, "feb": time.February, "february": time.February, "mar": time.March, "march": time.March,
	"apr": time.April, "april": time.April, "may": time.May, "jun": time.June, "june": time.June, "jul": time.July, "july": time.July,
	"aug": time.August, "august": time.August, "sep": time.September, "sept": time.September, "september": time.September,
	"oct": time.October, "october": time.October, "nov": time.November, "november": time.November, "dec": time.December, "december": time.December,
}

// date reads a date in words, in lower case, as somebody means it who writes
// it now; now's location is the one it is read in. A weekday is the next such
// day after today. Without an hour it means the morning. Forms that people of
// different countries read differently (12/01/2026) are not taken. ok is false
// for what is no date, or one that is not to come.
func date(s string, now time.Time) (at time.Time, ok bool) {
	words := strings.Fields(strings.ReplaceAll(s, ",", " "))
	if len(words) == 0 || len(words) > 6 {
		return time.Time{}, false
	}
	if words[0] == "in" {
		at, ok = span(words[1:], now)
		return at, ok && sensible(at, now)
	}
	if words[0] == "on" || words[0] == "by" {
		words = words[1:]
	}
	hour, minute, timed := morning, 0, false
	if n := len(words); n > 1 {
		if h, m, ok := clock(words[n-1]); ok {
			hour, minute, timed, words = h, m, true, words[:n-1]
		} else if words[n-1] == "am" || words[n-1] == "pm" {
			if h, m, ok := clock(words[n-2] + words[n-1]); ok && n > 2 {
				hour, minute, timed, words = h, m, true, words[:n-2]
			}
		}
		if n := len(words); timed && n > 1 && words[n-1] == "at" {
			words = words[:n-1]
		}
	}
	y, m, d, known := day(words, now)
	if !known {
		return time.Time{}, false
	}
	if !timed && len(words) == 1 && words[0] == "today" {
		hour = evening
	}
	at = time.Date(y, m, d, hour, minute, 0, 0, now.Location())
	return at, sensible(at, now)
}

func sensible(at, now time.Time) bool {
	return at.After(now) && at.Before(now.AddDate(0, 0, farthest))
}

// span reads "3 days" and the like.
func span(words []string, now time.Time) (time.Time, bool) {
	if len(words) != 2 {
		return time.Time{}, false
	}
	n, err := strconv.Atoi(words[0])
	if words[0] == "a" || words[0] == "an" || words[0] == "one" {
		n, err = 1, nil
	}
	if err != nil || n < 1 || n > 10_000 {
		return time.Time{}, false
	}
	switch strings.TrimSuffix(words[1], "s") {
	case "minute", "min":
		return now.Add(time.Duration(n) * time.Minute), true
	case "hour", "h":
		return now.Add(time.Duration(n) * time.Hour), true
	case "day", "d":
		return now.AddDate(0, 0, n), true
	case "week":
		return now.AddDate(0, 0, 7*n), true
	case "month":
		return now.AddDate(0, n, 0), true
	}
	return time.Time{}, false
}

// day reads the part of a date that names the day.
func day(words []string, now time.Time) (y int, m time.Month, d int, ok bool) {
	at := func(t time.Time) (int, time.Month, int, bool) {
		y, m, d := t.Date()
		return y, m, d, true
	}
	if len(words) > 0 && (words[0] == "next" || words[0] == "this") && len(words) == 2 {
		if words[0] == "next" && words[1] == "week" {
			return at(nextWeekday(now, time.Monday))
		}
		if _, ok := weekdays[words[1]]; !ok {
			return 0, 0, 0, false
		}
		words = words[1:]
	}
	switch len(words) {
	case 1:
		w := words[0]
		switch w {
		case "today", "tonight":
			return at(now)
		case "tomorrow":
			return at(now.AddDate(0, 0, 1))
		}
		if wd, ok := weekdays[w]; ok {
			return at(nextWeekday(now, wd))
		}
		if t, err := time.Parse("2006-01-02", w); err == nil {
			return at(t)
		}
		if t, err := time.Parse("2.1.2006", w); err == nil {
			return at(t)
		}
		if t, err := time.Parse("2.1.", w); err == nil {
			return coming(now, t.Month(), t.Day())
		}
	case 2, 3: // 27 november, november 27, 27 nov 2026
		month, known := months[words[1]]
		number := words[0]
		if !known {
			month, known = months[words[0]]
			number = words[1]
		}
		number = strings.TrimSuffix(number, ".")
		for _, end := range []string{"st", "nd", "rd", "th"} {
			number = strings.TrimSuffix(number, end)
		}
		n, err := strconv.Atoi(number)
		if !known || err != nil || n < 1 || n > 31 {
			return 0, 0, 0, false
		}
		if len(words) == 2 {
			return coming(now, month, n)
		}
		year, err := strconv.Atoi(words[2])
		if err != nil || len(words[2]) != 4 || !real(year, month, n) {
			return 0, 0, 0, false
		}
		return year, month, n, true
	}
	return 0, 0, 0, false
}

// nextWeekday is the first such day after today.
func nextWeekday(now time.Time, wd time.Weekday) time.Time {
	ahead := (int(wd) - int(now.Weekday()) + 7) % 7
	if ahead == 0 {
		ahead = 7
	}
	return now.AddDate(0, 0, ahead)
}

// coming completes a day of the year with the year in which it comes next.
func coming(now time.Time, m time.Month, d int) (int, time.Month, int, bool) {
	year, month, today := now.Date()
	if m < month || m == month && d < today {
		year++
	}
	return year, m, d, real(year, m, d)
}

// real says whether the month has that day.
func real(y int, m time.Month, d int) bool {
	return time.Date(y, m, d, 12, 0, 0, 0, time.UTC).Day() == d
}

// clock reads 9:00, 17:30, 9am, 9.30pm, 17h.
func clock(s string) (hour, minute int, ok bool) {
	half := -1
	switch {
	case strings.HasSuffix(s, "am"):
		half, s = 0, strings.TrimSuffix(s, "am")
	case strings.HasSuffix(s, "pm"):
		half, s = 12, strings.TrimSuffix(s, "pm")
	}
	h, m, colon := strings.Cut(strings.Replace(s, ".", ":", 1), ":")
	if !colon {
		if before, isHour := strings.CutSuffix(h, "h"); isHour {
			h, m, colon = before, "00", true
		} else if half >= 0 {
			m, colon = "00", true
		}
	}
	if !colon || len(h) < 1 || len(h) > 2 || len(m) != 2 {
		return 0, 0, false
	}
	hour, err := strconv.Atoi(h)
	if err != nil || hour < 0 || hour > 23 {
		return 0, 0, false
	}
	minute, err = strconv.Atoi(m)
	if err != nil || minute < 0 || minute > 59 {
		return 0, 0, false
	}
	if half >= 0 {
		if hour < 1 || hour > 12 {
			return 0, 0, false
		}
		hour = hour%12 + half
	}
	return hour, minute, true
}
