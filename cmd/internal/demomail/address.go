package demomail

import (
	"fmt"
	"strings"
)

// address is a mail address in lower case. Local parts are not told apart by
// case here, nor are they on any server that people use.
type address struct {
	user   string // what stands before a +
	detail string // from the + on, the + included; empty without one
	domain string
}

// parseAddress reads a bare address. Quoted local parts and address literals
// are refused: nobody has a mailbox there.
func parseAddress(s string) (address, error) {
	lower := strings.ToLower(s)
	local, domain, ok := cutLast(lower, '@')
	if !ok || len(s) > 254 || local == "" || len(local) > 64 || !validDomain(domain) {
		return address{}, fmt.Errorf("%q is no mail address", s)
	}
	for _, atom := range strings.Split(local, ".") {
		if atom == "" || strings.Trim(atom, "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~") != "" {
			return address{}, fmt.Errorf("%q is no mail address", s)
		}
	}
	a := address{user: local, domain: domain}
	if i := strings.IndexByte(local, '+'); i > 0 && local[i-1] != '.' { // what remains must be an address
		a.user, a.detail = local[:i], local[i:]
	}
	return a, nil
}

// String is the whole address.
func (a address) String() string { return a.user + a.detail + "@" + a.domain }

// base is the address without its detail: the one that has the mailbox.
func (a address) base() string { return a.user + "@" + a.domain }

// base returns the address that has the mailbox of s, and s itself when it is
// no address.
func base(s string) string {
	a, err := parseAddress(s)
	if err != nil {
		return s
	}
	return a.base()
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// validDomain says whether s, in lower case, is a host name (RFC 1123, section
// 2.1).
func validDomain(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for _, label := range strings.Split(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}
