package desk

import (
	"deskd/mailin"
	"deskd/triage"
)

// Reading has a test told before and after each mail that is read.
func (d *Desk) Reading(before, after func()) {
	parse := d.parse
	d.parse = func(raw []byte, l mailin.Limits) triage.Message {
		before()
		defer after()
		return parse(raw, l)
	}
}
