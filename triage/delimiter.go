package triage

// Delimiter is the line that stands above everything else in a mail to
// technicians. What is below it in an answer is our own mail coming back, in
// whatever shape the mail program gave it: no command is read there (T8).
// A prefix ("> ") or white space before it does not matter.
const Delimiter = "---- Please write above this line (deskd) ----"

// BareSubject takes the tags with these prefixes and all Re:, AW:, Fwd: …
// off a decoded subject.
func BareSubject(s string, prefixes ...string) string { return splitSubject(s, prefixes).Bare }
