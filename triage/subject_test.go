package triage

import (
	"fmt"
	"testing"
)

func TestSubjectIsStrippedOfPrefixesAndOwnTags(t *testing.T) {
	t.Parallel()
	r := desk(t)
	for _, c := range []struct{ in, want string }{
		{"VPN drops", "VPN drops [] - -"},
		{"Re: [IT-1042] VPN drops", "VPN drops [1042] re -"},
		{"[IT-1042] Re: VPN drops", "VPN drops [1042] re -"},
		{"AW: SV: Re[2]: RE (3): [it-1042] VPN", "VPN [1042] re -"},
		{"回复：[IT-7] 打印机", "打印机 [7] re -"},
		{"Fwd: [IT-7] VPN", "VPN [7] - fw"},
		{"WG: AW: VPN", "VPN [] re fw"},
		{"AW: WG: VPN", "VPN [] re -"}, // an answer to a forward
		{"VPN [HELP-12] old prefix", "VPN old prefix [12] - -"},
		{"[INC0012345] VPN [other #79]", "[INC0012345] VPN [other #79] [] - -"},
		{"[IT-1042][IT-1042] [IT-8] x", "x [1042 8] - -"},
		{"[IT-] [IT-0] [IT-12x] [XIT-9] [IT 9] x", "[IT-] [IT-0] [IT-12x] [XIT-9] [IT 9] x [] - -"},
		{"[ІТ-1042] Cyrillic", "[ІТ-1042] Cyrillic [] - -"}, // T33: ASCII only
		{"Re: Re: Re:", " [] re -"},
		{"Reminder: pay", "Reminder: pay [] - -"},
		{"Important: Re: x", "Important: Re: x [] - -"},
		{"[[IT-5]]", "[] [5] - -"},
		{"", " [] - -"},
	} {
		p := r.Subject(c.in)
		got := fmt.Sprintf("%s %v %s %s", p.Bare, p.Numbers, flag(p.Reply, "re"), flag(p.Forward, "fw"))
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func flag(on bool, name string) string {
	if on {
		return name
	}
	return "-"
}

func FuzzSubject(f *testing.F) {
	r := desk(f)
	for _, s := range []string{"Re: [IT-1] x", "[IT-[IT-1]", "Fwd: AW:", "[[[", "回复：", "re[: x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := r.Subject(s)
		twice := r.Subject(once.Bare)
		// What was tagged comes apart into something that may hold a new tag
		// ("[IT-[IT-1]2]"), but in the end nothing more comes off.
		for range 64 {
			next := r.Subject(twice.Bare)
			if next.Bare == twice.Bare {
				return
			}
			twice = next
		}
		if len(s) < 200 {
			t.Errorf("%q does not settle: %q", s, twice.Bare)
		}
	})
}
