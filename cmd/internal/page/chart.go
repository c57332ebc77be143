package page

import (
	"fmt"
	"time"

	"deskd/store"
)

// chart is a drawing with two bars for each day, measured in the units of the
// SVG's own box. The box is stretched to the room there is, so letters stand
// outside of it, in HTML.
type chart struct {
	Width, Height int
	Half          int       // where the line in the middle is
	Scale         [3]string // labels of the axis, from top to bottom
	Days          []chartDay
	Empty         bool
	Beyond        bool   // some bars go on beyond the top
	Summary       string // what there is to see, in words
}

type chartDay struct {
	Label      string // "23 Nov"; empty on most days
	Long       string // "Mon 23 Nov"
	Today      bool
	N          int    // tickets that the bars are about
	A, B       string // what the bars show, in words
	Said       string // all of it, in one sentence
	ABar, BBar bar
	Beyond     bool // the bars go on beyond the top
}

// bar is one column: its upper left corner and its size.
type bar struct{ X, Y, W, H int }

const (
	dayWidth    = 40
	chartHeight = 240
	labelEvery  = 7 // days; counted back from today
)

// chartDays makes the days without their bars.
func (p *page) chartDays(days []store.Day, now time.Time) chart {
	c := chart{Width: dayWidth * len(days), Height: chartHeight, Half: chartHeight / 2}
	today := now.In(p.zone).Format(time.DateOnly)
	for i, d := range days {
		day := d.Day.In(p.zone)
		one := chartDay{Long: day.Format("Mon 2 Jan"), Today: day.Format(time.DateOnly) == today}
		if (len(days)-1-i)%labelEvery == 0 {
			one.Label = day.Format("2 Jan")
		}
		c.Days = append(c.Days, one)
	}
	return c
}

// column is a bar on the base line, no higher than the top; whatever is not
// nothing shows.
func column(x, width int, n, top int64) bar {
	h := int((min(n, top)*chartHeight + top - 1) / top)
	return bar{x, chartHeight - h, width, h}
}

// flowChart draws the tickets opened and resolved on each day, side by side.
func (p *page) flowChart(days []store.Day, now time.Time) chart {
	c := p.chartDays(days, now)
	most, opened, resolved := 0, 0, 0
	for _, d := range days {
		most = max(most, d.New, d.Resolved)
		opened += d.New
		resolved += d.Resolved
	}
	top := axisTop(most)
	c.Scale = [3]string{count(top), count(top / 2), "0"}
	for i, d := range days {
		const width, gap = 15, 2
		day, x := &c.Days[i], i*dayWidth+(dayWidth-2*width-gap)/2
		day.A, day.B = count(d.New), count(d.Resolved)
		day.Said = fmt.Sprintf("%s: %s new, %s resolved", day.Long, day.A, day.B)
		day.ABar = column(x, width, int64(d.New), int64(top))
		day.BBar = column(x+width+gap, width, int64(d.Resolved), int64(top))
	}
	c.Empty = opened+resolved == 0
	c.Summary = fmt.Sprintf("%s new and %s resolved in %d days; at most %s on one day", count(opened), count(resolved), len(days), count(most))
	return c
}

// answerChart draws how soon the tickets of each day had their first response:
// within what time half of them had it, in front of that for nine of ten. The
// few days that are far slower than the others, a Sunday with one ticket, do
// not press those to the ground: their bars end at the top with a gap.
func (p *page) answerChart(days []store.Day, all store.Answers, now time.Time) chart {
	c := p.chartDays(days, now)
	var most time.Duration
	for _, d := range days {
		most = max(most, d.Slow)
	}
	top := timeTop(min(most, 2*all.Slow))
	c.Scale = [3]string{short(top), short(top / 2), "0"}
	for i, d := range days {
		const width = 26
		day, x := &c.Days[i], i*dayWidth+(dayWidth-width)/2
		if day.N = d.Answered; d.Answered == 0 {
			day.Said = day.Long + ": no ticket of this day has been answered"
			continue
		}
		day.A, day.B = short(d.Median), short(d.Slow)
		day.Said = fmt.Sprintf("%s: half within %s, nine of ten within %s; %s answered", day.Long, day.A, day.B, count(d.Answered))
		day.Beyond = d.Slow > top
		c.Beyond = c.Beyond || day.Beyond
		day.ABar = column(x, width, int64(d.Median/time.Second), int64(top/time.Second))
		day.BBar = column(x, width, int64(d.Slow/time.Second), int64(top/time.Second))
	}
	c.Empty = all.Answered == 0
	c.Summary = fmt.Sprintf("Of %s tickets answered, half had a first response within %s, nine of ten within %s; the slowest day had nine of ten within %s",
		count(all.Answered), short(all.Median), short(all.Slow), short(most))
	return c
}

// axisTop is the smallest round and even number that is not below most.
func axisTop(most int) int {
	for unit := 1; ; unit *= 10 {
		for _, n := range []int{2, 4, 6, 8, 10, 12, 14, 16, 18} {
			if n*unit >= most {
				return n * unit
			}
		}
	}
}

// timeTop is the smallest round time that is not below most, and whose half is
// round, too.
func timeTop(most time.Duration) time.Duration {
	const day = 24 * time.Hour
	for _, d := range []time.Duration{
		2 * time.Minute, 4 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour,
		8 * time.Hour, 12 * time.Hour, day, 2 * day, 4 * day,
	} {
		if d >= most {
			return d
		}
	}
	return time.Duration(axisTop(int((most+day-1)/day))) * day
}

// short is a length of time in at most two units: "38 min", "2 h 48 min".
func short(d time.Duration) string {
	const day = 24 * time.Hour
	two := func(n time.Duration, unit string, rest time.Duration, small string) string {
		if rest == 0 {
			return fmt.Sprintf("%d %s", n, unit)
		}
		return fmt.Sprintf("%d %s %d %s", n, unit, rest, small)
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 10*time.Hour:
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "min")
	case d < 2*day && d != day:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d < 10*day:
		return two(d/day, "d", d%day/time.Hour, "h")
	}
	return fmt.Sprintf("%d d", d/day)
}
