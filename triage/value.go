package triage

import (
	"slices"
	"strings"

	"deskd/triage/ticket"
)

// value reads what stands behind a verb, in lower case. A unique beginning is
// enough; of an ambiguous one the candidates are given. valid says in words
// what would be possible.
func (r *Rules) value(verb Verb, s string) (found string, candidates []string, valid string) {
	switch verb {
	case AssignVerb:
		found, candidates = beginning(strings.TrimPrefix(s, "to "), r.workers)
		return found, candidates, "the address of a technician, or its beginning"
	case TeamVerb:
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
	}
	return "", nil, ""
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
