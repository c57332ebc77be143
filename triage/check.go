package triage

import "slices"

// Sender is who the mail says it is from and whether that is proved, as Decide
// finds it, for `deskd check`.
func (r *Rules) Sender(m *Message) Sender { return r.sender(m) }

// Above names the host whose Received field stands above what one of our own
// servers says about the sender, so that it is not believed; empty: none does.
func (r *Rules) Above(m *Message) string {
	zone := r.borderZone(m)
	for _, a := range m.AuthResults {
		if a.Pos > zone && containsASCII(r.p.Trust.Servers, a.Server) {
			return m.Received[slices.IndexFunc(m.Received, func(rec Received) bool { return rec.Pos == zone })].By
		}
	}
	return ""
}
