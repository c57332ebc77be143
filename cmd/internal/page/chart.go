package page

import (
	"fmt"
	"time"

	"deskd/store"
)

// chart is the drawing of new and resolved tickets per day, measured in the
// units of the SVG's own box. The box is stretched to the room there is, so
// letters stand outside of it, in HTML.
type chart struct {
	Width, Height int
	Scale         [3]int // labels of the axis, from top to bottom
	Days          []chartDay
	New, Resolved int // in all
	Summary       string
}

type chartDay struct {
	Label, Long   string // "23", "Mon 23 Nov"
	Weekend       bool
	Today         bool
	New, Resolved int
	NewBar        bar
	ResolvedBar   bar
}

// bar is one column: its upper left corner and its size.
type bar struct{ X, Y, W, H int }

const (
	dayWidth    = 40
	barWidth    = 13
	chartHeight = 240
)

func (p *page) chart(days []store.Day, now time.Time) chart {
	c := chart{Width: dayWidth * len(days), Height: chartHeight}
	most := 0
	for _, d := range days {
		most = max(most, d.New, d.Resolved)
		c.New += d.New
		c.Resolved += d.Resolved
	}
	top := axisTop(most)
	c.Scale = [3]int{top, top / 2, 0}
	today := now.In(p.zone).Format(time.DateOnly)
	for i, d := range days {
		day := d.Day.In(p.zone)
		height := func(n int) int { return (n*chartHeight + top - 1) / top } // one ticket always shows
		x := i*dayWidth + (dayWidth-2*barWidth-2)/2
		c.Days = append(c.Days, chartDay{
			Label: day.Format("2"), Long: day.Format("Mon 2 Jan"),
			Weekend: day.Weekday() == time.Saturday || day.Weekday() == time.Sunday,
			Today:   day.Format(time.DateOnly) == today,
			New:     d.New, Resolved: d.Resolved,
			NewBar:      bar{x, chartHeight - height(d.New), barWidth, height(d.New)},
			ResolvedBar: bar{x + barWidth + 2, chartHeight - height(d.Resolved), barWidth, height(d.Resolved)},
		})
	}
	c.Summary = fmt.Sprintf("%d new and %d resolved in %d days", c.New, c.Resolved, len(days))
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
