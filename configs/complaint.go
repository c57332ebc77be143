package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Invalid is everything that is wrong with the settings. Nothing was started:
// the settings are to be mended and the program called again (exit code 2).
type Invalid struct {
	Complaints []*Complaint // in the order of the file; what has no place comes first
}

// Error gives one line for each complaint.
func (e *Invalid) Error() string {
	lines := make([]string, len(e.Complaints))
	for i, c := range e.Complaints {
		lines[i] = c.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the complaints.
func (e *Invalid) Unwrap() []error {
	errs := make([]error, len(e.Complaints))
	for i, c := range e.Complaints {
		errs[i] = c
	}
	return errs
}

// Complain gives a complaint about a setting that turned out to be wrong only
// when it was used.
func (s *Settings) Complain(key, text string, cause error) *Invalid {
	found := newComplaints(s.file)
	found.at = s.at
	found.add(key, "%s", text)
	found.list[0].Cause = cause
	return &Invalid{Complaints: found.list}
}

// Complaint is one thing that is wrong with the settings, and how to mend it.
type Complaint struct {
	File   string
	Line   int    // from 1; 0 when it has no place, as with a missing key
	Column int    // from 1, in characters
	Key    string // path of the setting, "mailboxes[0].server"; empty when it is about the file
	Text   string // what is wrong; how to mend it. Never holds a secret
	Cause  error  // of a file that cannot be read; may be nil
}

// Error gives "file:line:column: key: what is wrong; how to mend it", the form
// that editors jump to.
func (c *Complaint) Error() string {
	var b strings.Builder
	if c.File != "" {
		b.WriteString(c.File)
		if c.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", c.Line, c.Column)
		}
		b.WriteString(": ")
	}
	if c.Key != "" {
		b.WriteString(c.Key)
		b.WriteString(": ")
	}
	b.WriteString(c.Text)
	return b.String()
}

// Unwrap gives the cause.
func (c *Complaint) Unwrap() error { return c.Cause }

// complaints gathers what is wrong and knows where each key stands.
type complaints struct {
	file  string
	at    map[string]place // key path → where its value begins
	under map[string]place // key path → where the key itself stands
	meant map[string]bool  // keys that an unknown one was taken for
	list  []*Complaint
}

// place is a position in the file, both from 1.
type place struct{ line, column int }

func newComplaints(file string) *complaints {
	return &complaints{file: file, at: map[string]place{}, under: map[string]place{}, meant: map[string]bool{}}
}

// add complains about the value of a key, or about the place where a missing
// one belongs.
func (c *complaints) add(key, format string, args ...any) {
	c.addAt(c.find(key), key, format, args...)
}

func (c *complaints) addAt(p place, key, format string, args ...any) {
	c.list = append(c.list, &Complaint{File: c.file, Line: p.line, Column: p.column, Key: key, Text: fmt.Sprintf(format, args...)})
}

// find gives the place of the value; for a key that is not written, that of
// the nearest key around it.
func (c *complaints) find(key string) place {
	for key != "" {
		if p, ok := c.at[key]; ok {
			return p
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return place{}
}

// written says whether the file has the key.
func (c *complaints) written(key string) bool {
	_, ok := c.under[key]
	return ok
}

// about says whether something was complained about in the value of the key
// or within it, or the key is there under a wrong name, so that what follows
// from it need not be said as well.
func (c *complaints) about(key string) bool {
	return c.meant[key] || slices.ContainsFunc(c.list, func(o *Complaint) bool {
		rest, ok := strings.CutPrefix(o.Key, key)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// aboutItself says whether the value of the key was complained about as a
// whole, so that there is nothing within it.
func (c *complaints) aboutItself(key string) bool {
	return c.meant[key] || slices.ContainsFunc(c.list, func(o *Complaint) bool { return o.Key == key })
}

// adopt takes over what another package's check says. Each of the joined
// errors begins with its key, as in "server: missing port; write host:993".
func (c *complaints) adopt(prefix string, err error) {
	for _, e := range flatten(err) {
		key, text, ok := strings.Cut(e.Error(), ": ")
		if !ok || !isKeyPath(key) {
			c.add(strings.TrimSuffix(prefix, "."), "%s", e)
			continue
		}
		if key = prefix + key; !c.about(key) {
			c.add(key, "%s", text)
		}
	}
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// isKeyPath says whether s has the form of a key path: "rules[3].words".
func isKeyPath(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_.[]") == ""
}

// err gives everything complained about as one error, or nil.
func (c *complaints) err() error {
	if len(c.list) == 0 {
		return nil
	}
	slices.SortStableFunc(c.list, func(a, b *Complaint) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Invalid{Complaints: c.list}
}

// nearest gives the candidate that somebody who wrote s most likely meant, or
// an empty string.
func nearest(s string, candidates []string) string {
	best, least := "", 1+max(1, len(s)/3)
	folded := strings.ReplaceAll(strings.ToLower(s), "-", "_")
	for _, c := range candidates {
		if d := distance(folded, strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, change or swap with their
// neighbour to get from a to b (optimal string alignment).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(last[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
