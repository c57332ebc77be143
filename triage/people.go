package triage

import (
	"slices"
	"strings"
)

// Person is somebody with several addresses. What comes from an alias counts
// as coming from the main address.
type Person struct {
	Address string   `yaml:"address"`
	Aliases []string `yaml:"aliases"`
}

// addresses is a list of addresses and domains. "example.org" stands for all
// addresses of that domain, ".example.org" for those of the domains below it.
type addresses struct {
	exact  map[string]bool // addresses and domains, lower case
	ending []string        // ".example.org"
}

func newAddresses(list []string) addresses {
	a := addresses{exact: map[string]bool{}}
	for _, s := range list {
		s = strings.ToLower(strings.TrimPrefix(s, "@"))
		if strings.HasPrefix(s, ".") {
			a.ending = append(a.ending, s)
			continue
		}
		a.exact[s] = true
	}
	return a
}

func (a addresses) empty() bool { return len(a.exact)+len(a.ending) == 0 }

// has says whether an address is in the list, by itself or by its domain.
func (a addresses) has(addr string) bool {
	addr = strings.ToLower(addr)
	domain := addr[strings.LastIndexByte(addr, '@')+1:]
	if addr == "" {
		return false
	}
	if a.exact[addr] || a.exact[domain] {
		return true
	}
	for _, e := range a.ending {
		if strings.HasSuffix(domain, e) {
			return true
		}
	}
	return false
}

// Canonical gives the address that somebody goes by on this desk, in lower
// case: the main one of a person who has several.
func (r *Rules) Canonical(addr string) string {
	addr = strings.ToLower(addr)
	if main, ok := r.main[addr]; ok {
		return main
	}
	return addr
}

// Addresses are all that the person of an address writes from, the main one
// first.
func (r *Rules) Addresses(addr string) []string {
	all := []string{r.Canonical(addr)}
	for _, p := range r.p.People {
		if strings.EqualFold(p.Address, all[0]) {
			for _, a := range p.Aliases {
				all = append(all, strings.ToLower(a))
			}
		}
	}
	return all
}

// canonical gives the facts of a ticket with the addresses that its people go
// by: it may be older than the settings that say so.
func (r *Rules) canonical(f Facts) Facts {
	if len(r.main) == 0 {
		return f
	}
	f.Requester = r.Canonical(f.Requester)
	f.Participants = slices.Clone(f.Participants)
	for i, p := range f.Participants {
		f.Participants[i] = r.Canonical(p)
	}
	return f
}

// mayOpen says whether the mail may open a ticket: whoever works here may, and
// the monitoring systems; of the others those whom the settings let in. The
// address is not proven, so this keeps strangers away and no forger.
func (r *Rules) mayOpen(m *Message, d *Decision) bool {
	return r.openFrom.empty() || d.Sender.Role.works() || d.Kind.Why == "monitoring" ||
		r.openFrom.has(m.From.Addr) || r.openFrom.has(d.Sender.Address)
}

// blocked says whether nobody wants to hear from the mail's sender: by the
// settings, or by a technician's word. Who works here cannot be blocked.
func (r *Rules) blocked(m *Message, k *Known, s Sender) bool {
	if r.Works(s.Address) {
		return false
	}
	return k.Silenced == SilencedAll || k.Silenced == SilencedUnproven && !s.Authenticated || r.blockList.has(m.From.Addr) || r.blockList.has(s.Address) || m.From.Addr == "" && r.blockList.has(m.Shown.Addr)
}
