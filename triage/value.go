package triage

import (
	"slices"
	"strings"
	"time"

	"deskd/triage/ticket"
)

// value reads what stands behind a verb, in lower case. A unique beginning is
// enough; of an ambiguous one the candidates are given. valid says in words
// what would be possible.
func (r *Rules) value(verb Verb, s string, now time.Time) (found string, candidates []string, valid string) {
	switch verb {
	case AssignVerb:
		found, candidates = beginning(strings.TrimPrefix(s, "to "), r.workers)
		return found, candidates, "the address of a technician, or its beginning"
	case TeamVerb, QueueVerb:
		names := make([]string, len(r.p.Teams))
		for i, t := range r.p.Teams {
			names[i] = t.Name
		}
		found, candidates = beginning(s, names)
		return found, candidates, strings.Join(names, ", ")
	case PriorityVerb:
		var names []string
		for _, p := range ticket.Priorities() {
			names = append(names, string(p))
		}
		found, candidates = beginning(s, names)
		return found, candidates, strings.Join(names, ", ")
	case CcVerb, UnccVerb:
		found, valid = plainAddress(s), "one mail address of somebody outside the desk, as in cc bob@example.com"
		if r.Own(found) || r.lists[found] {
			found = ""
		}
		return found, nil, valid
	case ForVerb:
		found, valid = plainAddress(s), "the mail address of whom it is for, as in for: bob@example.com"
		if r.Own(found) || r.lists[found] {
			found = ""
		}
		return found, nil, valid
	case DueVerb:
		switch s {
		case "none", "never", "off", "no":
			return noDate, nil, dateWords
		}
		if at, ok := date(s, now.In(r.location())); ok {
			found = at.UTC().Format(time.RFC3339)
		}
		return found, nil, dateWords
	case SearchVerb:
		if looksForWords(s) {
			found = s
		}
		return found, nil, "a few words to look for, as in search vpn berlin"
	case MergeVerb, LinkVerb, ShowVerb:
		if n, ok := r.number(strings.TrimPrefix(strings.TrimPrefix(s, "with "), "to ")); ok {
			found = n.String()
		}
		return found, nil, "the number of a ticket, as in " + string(verb) + " 1042"
	}
	return "", nil, ""
}

// looksForWords says whether this is what one looks for, and no sentence that
// begins with "search": a few words.
func looksForWords(s string) bool {
	const most = 6
	n := len(strings.Fields(s))
	return n > 0 && n <= most
}

// noDate is the value of a due command that takes the date away.
const noDate = "none"

// number reads a ticket's number as people write it: 1042, #1042, IT-1042 or
// [IT-1042].
func (r *Rules) number(s string) (ticket.Number, bool) {
	if strings.HasPrefix(s, "[") {
		n, size := ownTag(s, r.prefixes)
		return n, size == len(s)
	}
	s = strings.TrimPrefix(s, "#")
	for _, p := range r.prefixes {
		if rest, ok := strings.CutPrefix(s, lowerASCII(p)+"-"); ok {
			s = rest
			break
		}
	}
	n, err := ticket.ParseNumber(s)
	return n, err == nil
}

// location is where dates in words are read.
func (r *Rules) location() *time.Location {
	if r.p.Location == nil {
		return time.UTC
	}
	return r.p.Location
}

// beginning finds the one name that begins with s, in any case; a whole name
// counts before longer ones.
func beginning(s string, names []string) (found string, candidates []string) {
	if s == "" {
		return "", nil
	}
	for _, n := range names {
		lower := strings.ToLower(n)
		if lower == s {
			return n, nil
		}
		if strings.HasPrefix(lower, s) {
			candidates = append(candidates, n)
		}
	}
	if len(candidates) == 1 {
		return candidates[0], nil
	}
	return "", candidates
}

// plainAddress reads an address as people type it, or as programs make a link
// of it: <bob@example.com>, bob@example.com<mailto:bob@example.com>,
// [bob@example.com](mailto:bob@example.com). It is empty if s is anything
// else, two addresses for one.
func plainAddress(s string) string {
	for _, link := range []struct{ open, middle, end string }{{"[", "](mailto:", ")"}, {"", "<mailto:", ">"}, {"", " <mailto:", ">"}, {"<", "", ">"}} {
		inner, ok := strings.CutPrefix(s, link.open)
		if !ok || !strings.HasSuffix(inner, link.end) {
			continue
		}
		inner = strings.TrimSuffix(inner, link.end)
		if link.middle == "" {
			s = inner
			break
		}
		if shown, target, ok := strings.Cut(inner, link.middle); ok {
			if shown != target {
				return ""
			}
			s = shown
			break
		}
	}
	local, domain, ok := strings.Cut(s, "@")
	labels := strings.Split(domain, ".")
	if !ok || local == "" || len(s) > 254 || len(labels) < 2 || slices.Contains(labels, "") {
		return ""
	}
	for _, c := range s {
		if c <= ' ' || c == 0x7F || strings.ContainsRune("<>()[],;:\\\"|`", c) {
			return ""
		}
	}
	if strings.Contains(domain, "@") {
		return ""
	}
	return s
}
