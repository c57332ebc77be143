package triage

// Sender is who the mail says it is from and whether that is proved, as Decide
// finds it, for `deskd check`.
func (r *Rules) Sender(m *Message) Sender { return r.sender(m) }
