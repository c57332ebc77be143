package triage

import (
	"strings"
	"testing"
)

func TestT06MessageIDsOfOursBearAMAC(t *testing.T) {
	t.Parallel()
	s := NewSigner([]byte("0123456789abcdef0123456789abcdef"))
	other := NewSigner([]byte("another secret of thirty-two byte"))
	key := []byte("ticket key 1042.")
	id := s.MessageID(1042, key, "ticket:1042/notice", "example.com")
	if n, ok := s.VerifyMessageID(id); !ok || n != 1042 || !s.MessageIDOf(id, key) {
		t.Fatalf("own id %q not recognised", id)
	}
	if again := s.MessageID(1042, key, "ticket:1042/notice", "example.com"); again != id {
		t.Errorf("not the same twice: %q, %q", id, again)
	}
	if next := s.MessageID(1042, key, "intake:7/reply", "example.com"); next == id {
		t.Error("two mails have one id")
	}
	if s.MessageIDOf(id, []byte("key of the ticket after a restore")) || s.MessageIDOf(id, nil) {
		t.Error("the id leads to another ticket with its number (F21)")
	}
	local, host, _ := strings.Cut(id, "@")
	p := strings.Split(local, ".")
	for _, forged := range []string{
		strings.Replace(id, "deskd.1042.", "deskd.1043.", 1),                       // another ticket
		strings.Join(append(append([]string{}, p[:4]...), p[3]), ".") + "@" + host, // another MAC
		strings.Join([]string{p[0], p[1], p[2], p[3][:len(p[3])-1] + "a", p[4]}, ".") + "@" + host,
		strings.Join(p[:4], ".") + "@" + host, // without one
		"deskd.01042." + strings.Join(p[2:], ".") + "@" + host,
		other.MessageID(1042, key, "ticket:1042/notice", "example.com"),
		strings.ToUpper(id), local, "", "@", "deskd.@x",
	} {
		if n, ok := s.VerifyMessageID(forged); ok {
			t.Errorf("%q passes for %d", forged, n)
		}
	}
	if n, ok := s.VerifyMessageID(local + "@moved.example"); !ok || n != 1042 {
		t.Error("the id is lost when the desk's domain changes")
	}
}

func TestAddressTokensRouteAndAreSigned(t *testing.T) {
	t.Parallel()
	s := NewSigner([]byte("0123456789abcdef0123456789abcdef"))
	token := s.AddressToken(1042, []byte("key"))
	if n, ok := s.VerifyAddressToken(token); !ok || n != 1042 || !s.TokenOf(token, []byte("key")) {
		t.Fatalf("own token %q not recognised", token)
	}
	if len("support+"+token) > 64 {
		t.Errorf("%d octets are too long for a local part (RFC 5321, section 4.5.3.1.1)", len("support+"+token))
	}
	for _, forged := range []string{"", "1042", "1042.a.b", strings.Replace(token, "1042", "1043", 1), token + "x", "0" + token} {
		if _, ok := s.VerifyAddressToken(forged); ok {
			t.Errorf("%q passes", forged)
		}
	}
}

func TestT15LoopMarkIsForOneMailOfThisDesk(t *testing.T) {
	t.Parallel()
	s := NewSigner([]byte("0123456789abcdef0123456789abcdef"))
	mark := s.LoopMark("a@example.com")
	if !s.VerifyLoopMark(" "+mark+" ", "a@example.com") {
		t.Error("own mark not recognised")
	}
	for _, c := range [][2]string{{mark, "b@example.com"}, {"", "a@example.com"}, {mark[1:], "a@example.com"}} {
		if s.VerifyLoopMark(c[0], c[1]) {
			t.Errorf("%q passes for %q", c[0], c[1])
		}
	}
}

func FuzzVerifyMessageID(f *testing.F) {
	s := NewSigner([]byte("0123456789abcdef0123456789abcdef"))
	good := s.MessageID(1042, []byte("k"), "x", "example.com")
	f.Add(good)
	f.Add("deskd.1.a.b.c@x")
	f.Fuzz(func(t *testing.T, id string) {
		n, ok := s.VerifyMessageID(id)
		if ok && (n != 1042 || !strings.HasPrefix(id, good[:strings.IndexByte(good, '@')])) {
			t.Errorf("%q passes for %d", id, n)
		}
		s.VerifyAddressToken(id)
	})
}
