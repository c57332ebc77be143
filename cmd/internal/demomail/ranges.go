package demomail

import (
	"cmp"
	"slices"
	"sort"

	"github.com/emersion/go-imap/v2"
)

// ranges are the numbers of a set, sorted and apart from one another, with *
// replaced by what it stands for.
type ranges []imap.SeqRange

// ranges resolves a set against what the client sees. * is the highest number
// that is there, so `7:*` always holds the last mail (RFC 3501, section 6.4.8).
// The server's lock is held.
func (c *session) ranges(set imap.NumSet) ranges {
	var (
		all ranges
		top uint32
	)
	switch set := set.(type) {
	case imap.SeqSet:
		top = uint32(len(c.view))
		for _, r := range set {
			all = append(all, imap.SeqRange{Start: r.Start, Stop: r.Stop})
		}
	case imap.UIDSet:
		if imap.IsSearchRes(set) {
			set = c.found
		}
		for _, t := range c.view {
			if !t.m.gone {
				top = uint32(t.m.uid)
			}
		}
		if fresh := c.box.since(c.top); len(fresh) > 0 {
			top = uint32(fresh[len(fresh)-1].uid)
		}
		for _, r := range set {
			all = append(all, imap.SeqRange{Start: uint32(r.Start), Stop: uint32(r.Stop)})
		}
	}
	for i, r := range all {
		start, stop := cmp.Or(r.Start, top), cmp.Or(r.Stop, top)
		all[i] = imap.SeqRange{Start: min(start, stop), Stop: max(start, stop)}
	}
	slices.SortFunc(all, func(a, b imap.SeqRange) int { return cmp.Compare(a.Start, b.Start) })
	merged := all[:0]
	for _, r := range all {
		if n := len(merged); n > 0 && r.Start <= merged[n-1].Stop {
			merged[n-1].Stop = max(merged[n-1].Stop, r.Stop)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

func (r ranges) contain(n uint32) bool {
	i := sort.Search(len(r), func(i int) bool { return r[i].Stop >= n })
	return n != 0 && i < len(r) && r[i].Start <= n
}
